//! The sub-commands of `origin`, one module each.

mod accounts;
mod audit;
mod clients;
mod customers;
mod keys;
mod register_fields;
mod revoke;
mod serve;
mod shared;

use std::path::PathBuf;

use anyhow::Result;
use origin::{clock::Clock, db::import::import};

/// The sub-commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Serve the API
    Serve(serve::Args),
    /// Import a catalogue in the publish schema into a new database
    Import {
        /// The database; created if it does not exist
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// One file, or a directory of *.ndjson files
        #[arg(long, value_name = "PATH")]
        from: PathBuf,
    },
    /// Keys that sign tokens
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Add and remove customers
    #[command(subcommand)]
    Customer(customers::Customer),
    /// Accounts that sign in with a password
    #[command(subcommand)]
    Account(accounts::AccountCommand),
    /// Set what a merchant asks viewers for when they register: a JSON list on standard input
    RegisterFields(register_fields::Args),
    /// Refuse tokens at this origin before they end; edges learn of it by `admit revoke`
    Revoke(revoke::Args),
    /// Show entries of the audit trail: who did what, oldest first
    Audit(audit::Args),
    /// Clients: programs with a secret, and the addresses of apps after a sign-in
    #[command(subcommand)]
    Client(clients::ClientCommand),
}

impl Command {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Serve(args) => serve::run(&args),
            Self::Import { db, from } => {
                let mut connection = shared::open(&db)?;
                let imported = import(&mut connection, &from, Clock::system().now())?;
                println!("{} items, {} customers; seq {}", imported.items, imported.customers, imported.seq);
                Ok(())
            }
            Self::Keys(keys) => keys.run(),
            Self::RegisterFields(args) => args.run(),
            Self::Revoke(args) => args.run(),
            Self::Audit(args) => args.run(),
            Self::Customer(customer) => customer.run(),
            Self::Account(account) => account.run(),
            Self::Client(client) => client.run(),
        }
    }
}
