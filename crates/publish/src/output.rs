//! Prints without ending the process. The standard library's `println!` and `eprintln!` panic when the reader
//! has gone, as in `admit inspect | head`, or when a service manager's log has gone; a publisher must go on.
//!
//! A command whose work is its output, such as `admit generate`, writes through [`Stdout`] instead, and ends
//! silently when its reader has gone.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether output was lost, because the disk is full for example.
static IS_INCOMPLETE: AtomicBool = AtomicBool::new(false);

/// Like the standard library's, but continues when the reader has gone.
macro_rules! println {
    ($($arguments:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($arguments)*))) };
}

/// Like the standard library's, but continues when standard error cannot be written.
macro_rules! eprintln {
    ($($arguments:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($arguments)*))) };
}

/// Whether the reader of [`Stdout`] has gone, so that there is nothing left to do.
static HAS_NO_READER: AtomicBool = AtomicBool::new(false);

/// The exit code that shells report for a process ended by SIGPIPE: 128 + 13.
const NO_READER_CODE: u8 = 141;

/// Standard output, for commands whose work is what they print.
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(bytes).inspect_err(note)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush().inspect_err(note)
    }
}

fn note(error: &io::Error) {
    if error.kind() == ErrorKind::BrokenPipe {
        HAS_NO_READER.store(true, Ordering::Relaxed);
    }
}

/// The exit code after an error. The error is printed, unless it only says that the reader has gone.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    if HAS_NO_READER.load(Ordering::Relaxed) {
        return ExitCode::from(NO_READER_CODE);
    }
    // `{:#}` prints the whole chain on one line: first the attempt, then why it failed.
    eprintln!("admit: {error:#}");
    ExitCode::FAILURE
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

/// The exit code: `done`, or failure if some of the output was lost.
pub fn exit_code(done: ExitCode) -> ExitCode {
    if !IS_INCOMPLETE.load(Ordering::Relaxed) {
        return done;
    }
    eprintln!("admit: standard output could not be written");
    ExitCode::FAILURE
}
