//! Warns about secrets on the command line of the native programs. All users of a machine can list the
//! arguments of its processes, and shells keep arguments in their history. A secret belongs in a variable or
//! a file.

use clap::{
    Arg, ArgMatches, Command,
    parser::{RawValues, ValueSource},
};

/// Prints a warning to standard error for each secret that was given as an argument, with the safe
/// alternatives.
pub fn warn_of_secrets(command: &Command, matches: &ArgMatches) {
    for warning in secrets(command, matches) {
        eprintln!("warning: {warning}");
    }
}

/// One warning for each argument that holds a secret itself rather than a file's name (`@FILE`).
fn secrets(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let mut warnings = Vec::new();
    for arg in command.get_arguments().filter(|arg| is_secret(arg)) {
        let id = arg.get_id().as_str();
        let is_argument = matches.value_source(id) == Some(ValueSource::CommandLine);
        if is_argument && matches.get_raw(id).is_some_and(holds_secret) {
            let name = arg.get_long().unwrap_or(id);
            let variable = arg.get_env().map(|name| format!("the variable {}", name.to_string_lossy()));
            let file = takes_file(arg).then(|| "@FILE".to_owned());
            let others: Vec<_> = variable.into_iter().chain(file).collect();
            warnings.push(format!(
                "--{name}: other users of this machine can read a secret on the command line; use {}",
                others.join(" or ")
            ));
        }
    }
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        warnings.extend(secrets(command, matches));
    }
    warnings
}

/// Whether the argument is for a secret: help hides the value of its variable, or its value's name says so.
fn is_secret(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    let is_named = |name: &str| ["TOKEN", "JWT", "SECRET"].iter().any(|word| name.contains(word));
    arg.is_hide_env_values_set() || names.iter().any(|name| is_named(name))
}

/// Whether the argument accepts `@FILE`, as all arguments for tokens do.
fn takes_file(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.contains("TOKEN") || name.contains("JWT"))
}

/// Whether one of the values is a secret. Some arguments take a number beside a token.
fn holds_secret(values: RawValues<'_>) -> bool {
    let mut values = values.map(|value| value.to_string_lossy());
    values.any(|value| !value.starts_with('@') && !value.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let token = Arg::new("token").long("token").value_name("JWT").env("A_TOKEN").hide_env_values(true);
        let pair = Arg::new("granted").long("granted").num_args(2).value_names(["TOKEN", "ITEM"]);
        let feed =
            Arg::new("feed").long("feed-secret").value_name("TEXT").env("A_FEED").hide_env_values(true);
        let file = Arg::new("key").long("key").value_name("FILE");
        Command::new("a").subcommand(Command::new("b").args([token, pair, feed, file]))
    }

    fn warnings(args: &[&str]) -> Vec<String> {
        let matches = command().try_get_matches_from([&["a", "b"], args].concat()).unwrap();
        secrets(&command(), &matches)
    }

    #[test]
    fn a_secret_is_told_with_the_other_ways_to_give_it() {
        for (args, expected) in [
            (
                &["--token", "a.b.c"][..],
                "--token: other users of this machine can read a secret on the command line; use the variable A_TOKEN or @FILE",
            ),
            (
                &["--feed-secret", "hunter2"],
                "--feed-secret: other users of this machine can read a secret on the command line; use the variable A_FEED",
            ),
            (
                &["--granted", "a.b.c", "7"],
                "--granted: other users of this machine can read a secret on the command line; use @FILE",
            ),
        ] {
            assert_eq!(warnings(args), [expected]);
        }
    }

    #[test]
    fn files_and_other_arguments_cause_no_warning() {
        for args in
            [&["--token", "@token.jwt"][..], &["--granted", "@a.jwt", "7"], &["--key", "key.jwk"], &[]]
        {
            assert_eq!(warnings(args), [""; 0], "{args:?}");
        }
    }
}
