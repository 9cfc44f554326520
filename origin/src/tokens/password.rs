//! Passwords, kept as argon2id in PHC strings.

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{Error, SaltString},
};

/// A password that nobody has: checked when there is no such account, so that the time an answer takes does not
/// tell whether there is one. Made with the same parameters as all others.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a password with argon2's recommended parameters: 19 MiB, two passes (OWASP's first choice as well).
///
/// # Errors
/// When the password is too long for argon2 (4 GiB).
pub fn hash(password: &str) -> Result<String, Error> {
    let salt = SaltString::encode_b64(uuid::Uuid::new_v4().as_bytes())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Whether it is the password that was hashed. Without a hash it takes as long, and is not.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let is_right = PasswordHash::new(hash.unwrap_or(NOBODY))
        .and_then(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed))
        .is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself() {
        let hashed = hash("correct horse").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hash("correct horse").unwrap(), hashed);
        assert!(verify("correct horse", Some(&hashed)));
        assert!(!verify("correct horse ", Some(&hashed)));
        assert!(!verify("", None));
        assert!(!verify("x", Some("no hash")));
        // Parsed and computed, not refused at once.
        assert_eq!(
            PasswordHash::new(NOBODY).unwrap().verify_password(&[&Argon2::default()], "x").unwrap_err(),
            Error::Password
        );
    }
}
