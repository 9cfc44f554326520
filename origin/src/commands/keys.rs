//! `origin keys`: lists, rotates and revokes signing keys.

use std::path::PathBuf;

use anyhow::{Context, Result};
use origin::{clock::Clock, db, tokens::keys};

/// The sub-commands of `origin keys`.
#[derive(clap::Subcommand)]
pub enum Keys {
    /// Show the keys that verify, newest first, and until when
    List {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
    },
    /// Sign with a new key from now on; the old one verifies until its last token has ended
    Rotate {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// Seconds that an access token lives, as in `serve`
        #[arg(long, value_name = "N", default_value_t = 3_600)]
        access_ttl_secs: i64,
    },
    /// Remove a leaked key: its tokens are refused at once; prints the key that signs now
    Revoke {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// The key's kid
        #[arg(value_name = "KID")]
        kid: String,
        /// Also end every sign-in: all viewers have to type their password again
        #[arg(long)]
        end_sessions: bool,
    },
}

impl Keys {
    /// Runs the command.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn run(self) -> Result<()> {
        let (Self::List { db } | Self::Rotate { db, .. } | Self::Revoke { db, .. }) = &self;
        let mut connection = db::open(db).with_context(|| db.display().to_string())?;
        let now = Clock::system().now();
        match self {
            Self::List { .. } => {
                for key in keys::list(&connection, now)? {
                    match key.verify_until {
                        None => println!("{} signs", key.kid),
                        Some(until) => println!("{} verifies for {} s", key.kid, until - now),
                    }
                }
            }
            Self::Rotate { access_ttl_secs, .. } => {
                println!("{}", keys::rotate(&mut connection, now, access_ttl_secs)?);
            }
            Self::Revoke { kid, end_sessions, .. } => {
                let revoked = keys::revoke(&mut connection, &kid, end_sessions, now)?;
                println!("{}", revoked.signs);
                if end_sessions {
                    eprintln!("origin: {} sign-ins have ended", revoked.sessions);
                }
            }
        }
        Ok(())
    }
}
