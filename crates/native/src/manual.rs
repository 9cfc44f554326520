//! Completions for shells and man pages, made of a program's own arguments.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Command;
use clap_complete::Shell;

/// Arguments of the command that prints completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bash   source <(PROGRAM completions bash)
  zsh    PROGRAM completions zsh > \"${fpath[1]}/_PROGRAM\"
  fish   PROGRAM completions fish > ~/.config/fish/completions/PROGRAM.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the completions of `program`.
    ///
    /// # Errors
    /// Standard output cannot be written. A reader that has gone is no error.
    pub fn print(&self, mut program: Command) -> io::Result<()> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        match io::stdout().write_all(&script) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

/// Arguments of the command that writes man pages.
#[derive(Debug, clap::Args)]
pub struct ManPages {
    /// The directory for the pages; made if it does not exist
    dir: PathBuf,
}

impl ManPages {
    /// Writes a page for `program` and one for each of its commands.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, program: Command) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        clap_mangen::generate_to(program, &self.dir)
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page() {
        let deep = Command::new("deep").about("Goes deep").arg(Arg::new("depth").long("depth"));
        let program = Command::new("prog").about("A program");
        let program = program.subcommand(Command::new("sub").about("A part").subcommand(deep));
        let program = program.subcommand(Command::new("secret").hide(true));
        let dir = tempfile::tempdir().unwrap();
        ManPages { dir: dir.path().into() }.write(program).unwrap();
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["prog-sub-deep.1", "prog-sub.1", "prog.1"]);
        let page = fs::read_to_string(dir.path().join("prog-sub-deep.1")).unwrap();
        assert!(page.contains("Goes deep") && page.contains("depth"), "{page}");
    }
}
