//! The password for a database: from the environment or from a password file, as libpq finds it. It is never
//! part of a URL, because every user of a machine can list the arguments of its processes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Once,
};

use admit_native::private_file;

/// The variable that holds the password.
const VARIABLE: &str = "PGPASSWORD";

/// The variable that names the password file.
const FILE_VARIABLE: &str = "PGPASSFILE";

/// The password file in the home directory.
const DEFAULT_FILE: &str = ".pgpass";

/// What a line of a password file is chosen by.
pub struct Wanted<'a> {
    /// The host; `localhost` for a socket.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password file: `given` in the URL, named by the environment, or the one in the home directory. The
/// last one need not be there.
pub fn file(given: Option<&Path>) -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given
        .map(Path::to_owned)
        .or_else(|| named(FILE_VARIABLE))
        .or_else(|| named("HOME").map(|home| home.join(DEFAULT_FILE)).filter(|path| path.is_file()))
}

/// The password. `None` if there is none: the database may trust the user, or will say so. Read for each
/// session, because a follower outlives passwords.
///
/// # Errors
/// The file cannot be read. The message does not quote the file.
pub fn find(file: Option<&Path>, wanted: &Wanted<'_>) -> Result<Option<String>, String> {
    if let Some(password) = env::var(VARIABLE).ok().filter(|password| !password.is_empty()) {
        return Ok(Some(password));
    }
    let Some(path) = file else { return Ok(None) };
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the password file {}: {error}", path.display()))?;
    Ok(in_file(&text, wanted))
}

/// Warns once of a password file that others can read. libpq would not read it.
pub fn warn_if_shared(file: Option<&Path>) {
    static WARNED: Once = Once::new();
    if let Some(file) = file {
        WARNED.call_once(|| private_file::warn_if_shared(file));
    }
}

/// The password in the first line that fits: `host:port:database:user:password`.
fn in_file(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let wanted = [wanted.host, &port, wanted.database, wanted.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (fields, password) = split(line)?;
        let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then_some(password)
    })
}

/// The four fields of a line, and its password. A backslash makes the next character plain.
fn split(line: &str) -> Option<([String; 4], String)> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            // A colon in the password needs no backslash.
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(characters.next()),
            character => fields.last_mut()?.push(character),
        }
    }
    let password = fields.pop()?;
    Some((fields.try_into().ok()?, password))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: Wanted<'_> = Wanted { host: "db.example", port: 5432, database: "shop", user: "reader" };

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        for (text, expected) in [
            ("db.example:5432:shop:reader:hunter2", Some("hunter2")),
            ("# db.example:5432:shop:reader:no\n*:*:*:reader:a:b\\\\c\\:d", Some("a:b\\c:d")),
            ("db.example:5433:shop:reader:no\ndb.example:*:shop:reader:yes\n*:*:*:*:late", Some("yes")),
            ("*:*:*:writer:no", None),
            ("db.example:5432:shop:reader", None),
            ("", None),
        ] {
            assert_eq!(in_file(text, &WANTED).as_deref(), expected, "{text}");
        }
        let escaped = Wanted { host: "::1", ..WANTED };
        assert_eq!(in_file("\\:\\:1:5432:shop:reader:six", &escaped).as_deref(), Some("six"));
    }

    #[test]
    fn an_unreadable_file_is_named_without_its_content() {
        let error = find(Some(Path::new("/does/not/exist")), &WANTED).unwrap_err();
        assert!(error.contains("/does/not/exist"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            let _ = in_file(&text, &WANTED);
        }
    }
}
