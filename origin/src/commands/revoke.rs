//! `origin revoke`: refuses tokens before they end.

use anyhow::{Result, anyhow};
use origin::{
    clock::Clock,
    db::{
        audit::{self, Actor, Deed, DeedOutcome},
        records,
        revoked::{self, Tokens},
        sessions,
    },
};
use rusqlite::{Connection, TransactionBehavior};

use super::shared::{Database, customer_name};

/// Arguments of `origin revoke`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// The token with this `jti`
    #[arg(long, value_name = "JTI", required_unless_present = "customer", conflicts_with = "customer")]
    token: Option<String>,
    /// Every token of this customer issued until now, refresh tokens included
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: Option<String>,
}

impl Args {
    pub fn run(&self) -> Result<()> {
        let mut connection = self.database.open()?;
        let now = Clock::system().now();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(jti) = &self.token {
            revoked::revoke(&transaction, Tokens::Id { issuer: None, jti }, now)?;
            let deed = Deed::new("token.revoke", format!("token:{jti}"));
            audit::record(&transaction, &Actor::command(0), &deed, &DeedOutcome::Done(None), now)?;
        }
        if let Some(customer) = &self.customer {
            end_sessions_of(&transaction, customer, now)?;
        }
        Ok(transaction.commit()?)
    }
}

fn end_sessions_of(transaction: &Connection, name: &str, now: i64) -> Result<()> {
    let (namespace, subject) = customer_name(name)?;
    let key = records::customer_key(transaction, namespace, subject)?;
    let key = key.ok_or_else(|| anyhow!("unknown customer {name}"))?;
    let customer = records::customer(transaction, key)?.ok_or_else(|| anyhow!("unknown customer {name}"))?;
    revoked::revoke(transaction, Tokens::Subject { namespace: Some(namespace), subject }, now)?;
    let sql = "SELECT id FROM accounts WHERE customer_key = ?1";
    let accounts: Vec<i64> =
        transaction.prepare(sql)?.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for account in accounts {
        sessions::end_all_of(transaction, account, None)?;
    }
    let deed = Deed {
        customer_id: Some(customer.id),
        ..Deed::new("token.revoke", format!("customer:{}", customer.id))
    };
    let actor = Actor::command(customer.merchant_id);
    Ok(audit::record(transaction, &actor, &deed, &DeedOutcome::Done(None), now)?)
}
