//! Prints without ending the process. The standard library's `println!` and `eprintln!` panic when the reader
//! has gone, as in `admit inspect | head`, or when a service manager's log has gone; a publisher must go on.
//!
//! A command whose work is its output, such as `admit generate`, writes through [`Stdout`] instead, and ends
//! silently when its reader has gone.

mod line;

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

pub use line::{Level, Notice};

/// Whether every line is a JSON object.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Makes every line a JSON object from now on, as `--log json` wants it.
pub fn write_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

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
    let text = format!("admit: {error:#}");
    tell_notice(&Notice::new("ended", text).with("error", format!("{error:#}")), Level::Error);
    ExitCode::FAILURE
}

/// Writes to standard output.
pub fn write(text: fmt::Arguments<'_>) {
    if IS_JSON.load(Ordering::Relaxed) {
        return out(format_args!("{}", line::of_prose(&text.to_string(), Level::Info)));
    }
    out(text);
}

/// Writes to standard error.
pub fn tell(text: fmt::Arguments<'_>) {
    if IS_JSON.load(Ordering::Relaxed) {
        return err(format_args!("{}", line::of_prose(&text.to_string(), Level::Info)));
    }
    err(text);
}

/// Writes a notice to standard output.
pub fn write_notice(notice: &Notice) {
    if IS_JSON.load(Ordering::Relaxed) {
        return out(format_args!("{}\n", notice.json(Level::Info)));
    }
    out(format_args!("{notice}\n"));
}

/// Writes a notice to standard error.
pub fn tell_notice(notice: &Notice, level: Level) {
    if IS_JSON.load(Ordering::Relaxed) {
        return err(format_args!("{}\n", notice.json(level)));
    }
    err(format_args!("{notice}\n"));
}

/// Writes a line that is a JSON object in either form to standard error. With JSON it gets the time, as all lines.
pub fn tell_object(object: fmt::Arguments<'_>) {
    if IS_JSON.load(Ordering::Relaxed) {
        return err(format_args!("{}\n", line::with_time(&object.to_string())));
    }
    err(format_args!("{object}\n"));
}

fn out(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => IS_INCOMPLETE.store(true, Ordering::Relaxed),
        _ => {}
    }
}

fn err(text: fmt::Arguments<'_>) {
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
