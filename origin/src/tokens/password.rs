//! Passwords, stored as argon2id in PHC strings.

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{Error, SaltString},
};

use crate::limits::{PASSWORD_MIN_CHARS, TEXT_MAX_BYTES};

/// The hash of a password that no account has. It is checked for unknown accounts, so that the time of an
/// answer does not reveal which accounts exist; its parameters are the same as all others'.
const PLACEHOLDER: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Checks a new password: long enough that guessing is hopeless, and no longer than a sign-in can send.
///
/// # Errors
/// The expected length, as words that follow "the password".
pub fn check(password: &str) -> Result<(), String> {
    let (chars, bytes) = (password.chars().count(), password.len());
    if chars < PASSWORD_MIN_CHARS {
        return Err(format!("must have at least {PASSWORD_MIN_CHARS} characters, not {chars}"));
    }
    if bytes > TEXT_MAX_BYTES {
        return Err(format!("must have at most {TEXT_MAX_BYTES} bytes, not {bytes}"));
    }
    if password.contains('\0') {
        return Err("must not contain a zero byte".to_owned());
    }
    Ok(())
}

/// Hashes a password with argon2's recommended parameters: 19 MiB, two passes (also OWASP's first choice).
///
/// # Errors
/// If the password is too long for argon2 (4 GiB).
pub fn hash(password: &str) -> Result<String, Error> {
    let salt = SaltString::encode_b64(uuid::Uuid::new_v4().as_bytes())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Whether the password matches the hash. Without a hash, it takes the same time and is false.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let is_right = PasswordHash::new(hash.unwrap_or(PLACEHOLDER))
        .and_then(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed))
        .is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_neither_short_nor_unusable() {
        for (password, is_good) in [
            ("", false),
            ("a", false),
            ("7 chars", false),
            ("ééééééé", false),
            ("8 chars!", true),
            ("correct horse", true),
            ("twelve\0chars", false),
        ] {
            assert_eq!(check(password).is_ok(), is_good, "{password:?}");
        }
        assert!(check(&"x".repeat(TEXT_MAX_BYTES)).is_ok());
        let too_long = check(&"x".repeat(TEXT_MAX_BYTES + 1)).unwrap_err();
        assert_eq!(too_long, "must have at most 2000 bytes, not 2001");
    }

    #[test]
    fn only_the_password_itself() {
        let hashed = hash("correct horse").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hash("correct horse").unwrap(), hashed);
        assert!(verify("correct horse", Some(&hashed)));
        assert!(!verify("correct horse ", Some(&hashed)));
        assert!(!verify("", None));
        assert!(!verify("x", Some("no hash")));
        // The placeholder hash is parsed and computed, not refused early.
        assert_eq!(
            PasswordHash::new(PLACEHOLDER).unwrap().verify_password(&[&Argon2::default()], "x").unwrap_err(),
            Error::Password
        );
    }
}
