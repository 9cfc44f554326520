//! `origin customer`: adds and removes customers.

use anyhow::{Result, bail};
use origin::{
    clock::Clock,
    db::customers::{add, remove},
};

use super::shared::{Database, customer_name};

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
    #[command(flatten)]
    database: Database,
    /// The customer as tokens name it
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: String,
}

impl Customer {
    pub fn run(self) -> Result<()> {
        let (Self::Add { name: NamedCustomer { database, customer }, .. }
        | Self::Remove { name: NamedCustomer { database, customer } }) = &self;
        let (namespace, subject) = customer_name(customer)?;
        let mut connection = database.open()?;
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
