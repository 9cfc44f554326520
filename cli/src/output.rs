//! `print!`, `println!` and `eprintln!` that do not end the process when the reader has gone ([`admit_publish::output`]).

/// Like the standard library's, but continues when the reader has gone.
macro_rules! print {
    ($($arguments:tt)*) => { admit_publish::output::write(format_args!($($arguments)*)) };
}

/// Like the standard library's, but continues when the reader has gone.
macro_rules! println {
    ($($arguments:tt)*) => { admit_publish::output::write(format_args!("{}\n", format_args!($($arguments)*))) };
}

/// Like the standard library's, but continues when standard error cannot be written.
macro_rules! eprintln {
    ($($arguments:tt)*) => { admit_publish::output::tell(format_args!("{}\n", format_args!($($arguments)*))) };
}
