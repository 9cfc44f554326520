//! What the command says. `println!` and `eprintln!` of the standard library end it when nobody reads any more,
//! as in `admit inspect | head`, or when a service manager's log has gone: no reason to stop publishing.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Something that was to be read is lost, because the disk is full for instance.
static IS_INCOMPLETE: AtomicBool = AtomicBool::new(false);

/// As in the standard library, but goes on when nobody reads.
macro_rules! print {
    ($($arguments:tt)*) => { $crate::output::write(format_args!($($arguments)*)) };
}

/// As in the standard library, but goes on when nobody reads.
macro_rules! println {
    ($($arguments:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($arguments)*))) };
}

/// As in the standard library, but goes on when it cannot be written.
macro_rules! eprintln {
    ($($arguments:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($arguments)*))) };
}

/// Writes to standard output.
pub fn write(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => IS_INCOMPLETE.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// Writes to standard error.
pub fn tell(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// The exit code: that of what was done, unless some of what was to be said about it is lost.
pub fn exit_code(done: ExitCode) -> ExitCode {
    if !IS_INCOMPLETE.load(Ordering::Relaxed) {
        return done;
    }
    eprintln!("admit: standard output could not be written");
    ExitCode::FAILURE
}
