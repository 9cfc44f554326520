//! `origin client`: programs with a secret, and the clients of apps.

use admit::token::Scope;
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use origin::{
    clock::Clock,
    tokens::{redirect, secret},
};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::shared::{Database, record};

/// The sub-commands of `origin client`.
#[derive(clap::Subcommand)]
pub enum ClientCommand {
    /// Add a program or replace its secret, which is printed, and end its sign-ins. Options that are left out
    /// keep their value
    Set(ClientArgs),
    /// Say whose roles an app's client keeps: customers' only, or also those of the merchant's users, who can
    /// write
    Mark {
        #[command(flatten)]
        database: Database,
        /// The app's OAuth client
        #[arg(long, value_name = "TEXT")]
        client_id: String,
        /// Whose roles the tokens of the client have
        #[arg(long = "for", value_enum)]
        of: For,
    },
    /// Allow an app to be returned to at an address after sign-in
    Redirect {
        #[command(flatten)]
        database: Database,
        /// The app's OAuth client
        #[arg(long, value_name = "TEXT")]
        client_id: String,
        /// Address, exactly as the app sends it; the port of http://127.0.0.1 and http://[::1] is ignored
        #[arg(long, value_name = "URL")]
        uri: String,
    },
}

/// Arguments of `origin client set`.
#[derive(clap::Args)]
pub struct ClientArgs {
    #[command(flatten)]
    database: Database,
    /// The program's name
    #[arg(long, value_name = "TEXT")]
    client_id: String,
    /// The merchant's number
    #[arg(long, value_name = "N")]
    merchant: i64,
    /// Role of the program; a new program has none
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Scope of the program, such as feed:read, instead of its present ones; an empty one removes them
    #[arg(long, value_name = "TEXT")]
    scope: Vec<String>,
}

/// The role of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// No role: its scopes only.
    None,
    /// Writes for the merchant.
    Merchant,
}

/// Whose roles the tokens of a client have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum For {
    /// Customers' only: the merchant's users sign in without their role.
    Customers,
    /// Also those of the merchant's users, who can write. For clients that the merchant runs.
    Merchant,
}

impl ClientCommand {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Set(args) => set(&args),
            Self::Mark { database, client_id, of } => mark(&database, &client_id, of),
            Self::Redirect { database, client_id, uri } => allow_redirect(&database, &client_id, &uri),
        }
    }
}

fn set(args: &ClientArgs) -> Result<()> {
    let mut connection = args.database.open()?;
    let text = secret::random()?;
    let (hash, now) = (secret::hash(&text), Clock::system().now());
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql_customer = "SELECT EXISTS (SELECT 1 FROM customers WHERE subject = ?1)";
    if transaction.query_row(sql_customer, [&args.client_id], |row| row.get(0))? {
        bail!(
            "--client-id: a customer has the subject {:?}; give the program a name of its own",
            args.client_id
        );
    }
    let Rights { is_merchant, scopes } = rights(&transaction, args)?;
    let sql = "INSERT INTO machines (client_id, merchant_id, secret_hash, is_merchant, scopes, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash,
               is_merchant = excluded.is_merchant, scopes = excluded.scopes
               WHERE merchant_id = excluded.merchant_id";
    let values = params![args.client_id, args.merchant, hash, is_merchant, scopes, now];
    if transaction.execute(sql, values).context("the client cannot be stored")? == 0 {
        bail!(
            "--merchant: the client {:?} is another merchant's; give this merchant's program a name of its own",
            args.client_id
        );
    }
    // Holders of the old secret may have signed in with it.
    transaction.execute("DELETE FROM refresh_tokens WHERE machine = ?1", [&args.client_id])?;
    let role = if is_merchant { "merchant" } else { "none" };
    let object = format!("client:{} role={role} scopes={}", args.client_id, scopes.replace(' ', "+"));
    record(&transaction, args.merchant, "client.set", object, now)?;
    transaction.commit()?;
    println!("{text}");
    Ok(())
}

/// The rights of a program.
struct Rights {
    is_merchant: bool,
    /// Separated by spaces.
    scopes: String,
}

/// The rights after the command: the options', and otherwise those that the program had. A new secret alone
/// must not take rights away, or the program would stop working.
fn rights(transaction: &Connection, args: &ClientArgs) -> Result<Rights> {
    let sql = "SELECT is_merchant, scopes FROM machines WHERE client_id = ?1";
    let stored = transaction
        .query_row(sql, [&args.client_id], |row| Ok(Rights { is_merchant: row.get(0)?, scopes: row.get(1)? }))
        .optional()?;
    let Rights { is_merchant, scopes } =
        stored.unwrap_or_else(|| Rights { is_merchant: false, scopes: String::new() });
    let is_merchant = args.role.map_or(is_merchant, |role| role == Role::Merchant);
    let given =
        || args.scope.iter().filter(|scope| !scope.is_empty()).map(String::as_str).collect::<Vec<_>>();
    let scopes = if args.scope.is_empty() { scopes } else { given().join(" ") };
    let is_told = args.role.is_some() || !args.scope.is_empty();
    // Rights that earlier versions allowed stay valid when only the secret is replaced.
    if is_told && is_merchant && scopes.split(' ').any(|scope| scope == Scope::FeedRead.name()) {
        bail!(
            "--scope feed:read is for the data of every merchant, and --role merchant for those of one: set two programs"
        );
    }
    Ok(Rights { is_merchant, scopes })
}

fn mark(database: &Database, client_id: &str, of: For) -> Result<()> {
    let mut connection = database.open()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let merchant = merchant_of(&transaction, client_id)?;
    let sql = "UPDATE clients SET is_for_merchant = ?2 WHERE client_id = ?1";
    transaction.execute(sql, params![client_id, of == For::Merchant])?;
    let of = if of == For::Merchant { "merchant" } else { "customers" };
    let object = format!("client:{client_id} for={of}");
    record(&transaction, merchant, "client.mark", object, Clock::system().now())?;
    Ok(transaction.commit()?)
}

/// The merchant whose app has the client.
fn merchant_of(transaction: &Connection, client_id: &str) -> Result<i64> {
    let sql = "SELECT merchant_id FROM clients JOIN apps ON apps.id = app_id WHERE client_id = ?1";
    let merchant = transaction.query_row(sql, [client_id], |row| row.get(0)).optional()?;
    merchant.ok_or_else(|| anyhow!("no app has the client {client_id:?}"))
}

fn allow_redirect(database: &Database, client_id: &str, uri: &str) -> Result<()> {
    redirect::check(uri).map_err(|problem| anyhow!("--uri: {problem}"))?;
    let mut connection = database.open()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "UPDATE clients SET redirect_uris_json = json_insert(redirect_uris_json, '$[#]', ?2)
               WHERE client_id = ?1
               AND NOT EXISTS (SELECT 1 FROM json_each(redirect_uris_json) WHERE value = ?2)";
    transaction.execute(sql, [client_id, uri])?;
    let merchant = merchant_of(&transaction, client_id)?;
    let object = format!("client:{client_id} {uri}");
    record(&transaction, merchant, "client.redirect", object, Clock::system().now())?;
    Ok(transaction.commit()?)
}
