//! The sub-commands.

mod accounts;
mod audit;
mod customers;
mod keys;
mod revoke;
mod serve;

use std::path::PathBuf;

use anyhow::{Context, Result};
use origin::{clock::Clock, db, db::import::import};

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
    Keys(keys::Keys),
    /// Customers, who come and go
    #[command(subcommand)]
    Customer(customers::Customer),
    /// Accounts that sign in with a password
    #[command(subcommand)]
    Account(accounts::Account),
    /// Refuse tokens at this origin before they end; edges are told by `admit revoke`
    Revoke(revoke::Args),
    /// Who did what: entries of the audit trail, oldest first
    Audit(audit::Args),
    /// Clients: programs with a secret, and where apps may be returned to
    #[command(subcommand)]
    Client(accounts::Client),
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
            Self::Keys(keys) => keys.run(),
            Self::Revoke(args) => args.run(),
            Self::Audit(args) => args.run(),
            Self::Customer(customer) => customer.run(),
            Self::Account(account) => account.run(),
            Self::Client(client) => client.run(),
        }
    }
}
