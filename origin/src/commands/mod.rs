//! The sub-commands.

mod accounts;
mod customers;
mod serve;

use std::path::PathBuf;

use anyhow::{Context, Result};
use origin::{clock::Clock, db, db::import::import, tokens::keys};

/// What is to be done.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Serve the API
    Serve(serve::Args),
    /// Import a catalogue in the publish schema into a new database
    Import {
        /// The database; made if it is not there
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// One file, or a directory of *.ndjson files
        #[arg(long, value_name = "PATH")]
        from: PathBuf,
    },
    /// Keys that sign tokens
    #[command(subcommand)]
    Keys(Keys),
    /// Customers, who come and go
    #[command(subcommand)]
    Customer(customers::Customer),
    /// Accounts that sign in with a password
    #[command(subcommand)]
    Account(accounts::Account),
    /// Clients: programs with a secret, and where apps may be returned to
    #[command(subcommand)]
    Client(accounts::Client),
}

/// What is to be done about keys.
#[derive(clap::Subcommand)]
pub enum Keys {
    /// Sign with a new key from now on; the old one verifies until its last token has ended
    Rotate {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// Seconds that an access token lives, as `serve` has it
        #[arg(long, value_name = "N", default_value_t = 3_600)]
        access_ttl_secs: i64,
    },
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// With what went wrong, for people.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Serve(args) => serve::run(&args),
            Self::Import { db, from } => {
                let mut connection = db::open(&db).with_context(|| db.display().to_string())?;
                let imported = import(&mut connection, &from, Clock::system().now())?;
                println!("{} items, {} customers; seq {}", imported.items, imported.customers, imported.seq);
                Ok(())
            }
            Self::Keys(Keys::Rotate { db, access_ttl_secs }) => {
                let mut connection = db::open(&db).with_context(|| db.display().to_string())?;
                println!("{}", keys::rotate(&mut connection, Clock::system().now(), access_ttl_secs)?);
                Ok(())
            }
            Self::Customer(customer) => customer.run(),
            Self::Account(account) => account.run(),
            Self::Client(client) => client.run(),
        }
    }
}
