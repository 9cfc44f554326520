//! `origin keys`: lists, rotates and revokes signing keys.

use anyhow::Result;
use origin::{clock::Clock, tokens::keys};

use super::shared::Database;

/// The sub-commands of `origin keys`.
#[derive(clap::Subcommand)]
pub enum Keys {
    /// Show the keys that verify, newest first, and until when
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Sign with a new key from now on; the old one verifies until its last token has ended
    Rotate {
        #[command(flatten)]
        database: Database,
        /// Seconds that the retired key still verifies [default: the longest life of a token that `serve` issued]
        #[arg(long, value_name = "N")]
        access_ttl_secs: Option<i64>,
    },
    /// Remove a leaked key: its tokens are refused at once; prints the key that signs now
    Revoke {
        #[command(flatten)]
        database: Database,
        /// The key's kid
        #[arg(value_name = "KID")]
        kid: String,
        /// Also end every sign-in: all viewers have to type their password again
        #[arg(long)]
        end_sessions: bool,
    },
}

impl Keys {
    pub fn run(self) -> Result<()> {
        let (Self::List { database } | Self::Rotate { database, .. } | Self::Revoke { database, .. }) = &self;
        let mut connection = database.open()?;
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
                let ttl_secs = access_ttl_secs.map_or_else(|| keys::longest_ttl(&connection), Ok)?;
                println!("{}", keys::rotate(&mut connection, now, ttl_secs)?);
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
