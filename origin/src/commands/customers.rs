//! `origin customer`: adds and removes customers.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use origin::{
    clock::Clock,
    db,
    db::customers::{add, remove},
};

/// The sub-commands of `origin customer`.
#[derive(clap::Subcommand)]
pub enum Customer {
    /// Add a customer without accesses; prints the number
    Add {
        #[command(flatten)]
        name: NamedCustomer,
        /// The merchant's number
        #[arg(long, value_name = "N")]
        merchant: i64,
    },
    /// Remove a customer with all accesses and licences, the account and its tokens
    Remove {
        #[command(flatten)]
        name: NamedCustomer,
    },
}

/// The customer, and the database.
#[derive(clap::Args)]
pub struct NamedCustomer {
    /// The database
    #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
    db: PathBuf,
    /// The customer as tokens name it
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: String,
}

impl Customer {
    /// Runs the command.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn run(self) -> Result<()> {
        let (Self::Add { name: NamedCustomer { db, customer }, .. }
        | Self::Remove { name: NamedCustomer { db, customer } }) = &self;
        let (namespace, subject) =
            customer.split_once(':').ok_or_else(|| anyhow!("--customer: expected namespace:subject"))?;
        let mut connection = db::open(db).with_context(|| db.display().to_string())?;
        let now = Clock::system().now();
        match self {
            Self::Add { merchant, .. } => {
                let sql = "SELECT EXISTS (SELECT 1 FROM machines WHERE client_id = ?1)";
                if connection.query_row(sql, [subject], |row| row.get(0))? {
                    bail!(
                        "--customer: a program has the client id {subject:?}; tokens could not tell them apart"
                    );
                }
                println!("{}", add(&mut connection, merchant, namespace, subject, now)?.id);
            }
            Self::Remove { .. } => {
                if !remove(&mut connection, namespace, subject, now)? {
                    bail!("unknown customer {customer}");
                }
            }
        }
        Ok(())
    }
}
