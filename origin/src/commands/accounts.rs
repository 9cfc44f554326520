//! `origin account`: accounts that sign in with a password.

use std::io::Read as _;

use anyhow::{Context, Result, anyhow, bail};
use origin::{
    clock::Clock,
    db::{records, sessions},
    tokens::password,
};
use rusqlite::{TransactionBehavior, params};

use super::shared::{Database, customer_name, record};

/// The sub-commands of `origin account`.
#[derive(clap::Subcommand)]
pub enum AccountCommand {
    /// Add an account or replace its password, which is read from standard input; ends the account's sign-ins
    Set(AccountArgs),
}

/// Arguments of `origin account set`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  printf %s 'correct horse' | origin account set --db origin.db --merchant 2101 --username ada@example.com \\
    --customer vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4")]
pub struct AccountArgs {
    #[command(flatten)]
    database: Database,
    /// The merchant's number
    #[arg(long, value_name = "N")]
    merchant: i64,
    /// User name; mostly an e-mail address
    #[arg(long, value_name = "TEXT")]
    username: String,
    /// Full name, as sign-ins answer it
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
    /// The customer, as namespace:subject; without one, the account is a user of the merchant
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: Option<String>,
    /// Let the account sign in by test-mode clients, which unlock pending test licences. Without this option
    /// it may not, even if it could before
    #[arg(long)]
    tester: bool,
}

impl AccountCommand {
    pub fn run(self) -> Result<()> {
        let Self::Set(args) = self;
        let mut connection = args.database.open()?;
        let mut typed = String::new();
        std::io::stdin().read_to_string(&mut typed)?;
        let typed = typed.trim_end_matches(['\r', '\n']);
        if typed.is_empty() {
            bail!("the password is expected on standard input");
        }
        let customer_key = match &args.customer {
            None => None,
            Some(name) => {
                let (namespace, subject) = customer_name(name)?;
                let key = records::customer_key(&connection, namespace, subject)?;
                Some(key.ok_or_else(|| anyhow!("unknown customer {name}"))?)
            }
        };
        if let Some(key) = customer_key
            && records::customer(&connection, key)?
                .is_none_or(|customer| customer.merchant_id != args.merchant)
        {
            bail!("the customer is another merchant's");
        }
        password::check(typed).map_err(|problem| anyhow!("the password on standard input {problem}"))?;
        let hash = password::hash(typed).map_err(|error| anyhow!("{error}"))?;
        let role = if customer_key.is_some() { "consumer" } else { "merchant" };
        let sql =
            "INSERT INTO accounts (merchant_id, username, password_hash, role, customer_key, uuid, full_name,
                   created_at, updated_at, is_tester) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)
                   ON CONFLICT (merchant_id, username)
                   DO UPDATE SET password_hash = excluded.password_hash, is_tester = excluded.is_tester,
                   updated_at = excluded.updated_at
                   WHERE role = excluded.role AND customer_key IS excluded.customer_key";
        let uuid = uuid::Uuid::new_v4().to_string();
        let now = Clock::system().now();
        let values = params![
            args.merchant,
            args.username,
            hash,
            role,
            customer_key,
            uuid,
            args.name,
            now,
            args.tester
        ];
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if transaction.execute(sql, values).context("the account cannot be stored")? == 0 {
            bail!("the user name is taken by another account");
        }
        let sql = "SELECT id FROM accounts WHERE merchant_id = ?1 AND username = ?2";
        let id: i64 = transaction.query_row(sql, params![args.merchant, args.username], |row| row.get(0))?;
        // A new password may be set because a stranger knew the old one, so all sign-ins end.
        sessions::end_all_of(&transaction, id, None)?;
        let object = format!("account:{id} role={role} tester={}", args.tester);
        record(&transaction, args.merchant, "account.set", object, now)?;
        transaction.commit()?;
        println!("{role} {}", args.username);
        Ok(())
    }
}
