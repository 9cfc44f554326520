//! The salt of a store's first snapshot of format 2.

use std::io;

use admit_snapshot::key::{ItemSalt, SALT_LEN};

/// Draws a random salt, which merchants cannot guess.
///
/// # Errors
/// The system cannot supply random numbers.
pub fn random() -> io::Result<ItemSalt> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(ItemSalt::new(salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_random() {
        let (salt, other) = (random().unwrap(), random().unwrap());
        assert!(salt != other && salt != ItemSalt::IN_MEMORY);
    }
}
