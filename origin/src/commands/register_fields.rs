//! `origin register-fields`: what a merchant asks viewers for when they register.

use anyhow::{Context, Result, anyhow, bail};
use origin::{
    clock::Clock,
    db::{
        records,
        register_fields::{self, RegisterField},
    },
};
use rusqlite::TransactionBehavior;

use super::shared::{Database, record};

/// Arguments of `origin register-fields`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  echo '[{\"name\": \"terms\", \"label\": \"\", \"type\": \"checkbox\", \"required\": true}]' \\
    | origin register-fields --db origin.db --merchant 2101")]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// The merchant's number
    #[arg(long, value_name = "N")]
    merchant: i64,
}

impl Args {
    pub fn run(&self) -> Result<()> {
        let mut connection = self.database.open()?;
        let fields: Vec<RegisterField> = serde_json::from_reader(std::io::stdin())
            .context("standard input: expected a JSON list of fields with name, label and type")?;
        register_fields::check(&fields).map_err(|problem| anyhow!("standard input: {problem}"))?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if records::merchant(&transaction, self.merchant)?.is_none() {
            bail!("unknown merchant {}", self.merchant);
        }
        register_fields::set(&transaction, self.merchant, &fields)?;
        let object = format!("merchant:{}", self.merchant);
        record(&transaction, self.merchant, "register_fields.set", object, Clock::system().now())?;
        transaction.commit()?;
        println!("{} fields", fields.len());
        Ok(())
    }
}
