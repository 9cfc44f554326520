//! `origin account` and `origin client`: accounts with a password, and clients with a secret.

use std::{io::Read as _, path::PathBuf};

use admit::{instant::UnixSecs, token::Scope};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use origin::{
    clock::Clock,
    db,
    db::{
        audit::{self, Actor, Deed, Outcome},
        records,
    },
    tokens::{password, redirect, secret},
};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

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
    /// The database
    #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
    db: PathBuf,
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
    /// Runs the command.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn run(self) -> Result<()> {
        let Self::Set(args) = self;
        let mut connection = db::open(&args.db).with_context(|| args.db.display().to_string())?;
        let mut typed = String::new();
        std::io::stdin().read_to_string(&mut typed)?;
        let typed = typed.trim_end_matches(['\r', '\n']);
        if typed.is_empty() {
            bail!("the password is expected on standard input");
        }
        let customer_key = match &args.customer {
            None => None,
            Some(name) => {
                let (namespace, subject) =
                    name.split_once(':').ok_or_else(|| anyhow!("--customer: expected namespace:subject"))?;
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
                   created_at, is_tester) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (merchant_id, username)
                   DO UPDATE SET password_hash = excluded.password_hash, is_tester = excluded.is_tester
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
        // A new password may be set because someone else knew the old one, so all sign-ins end.
        for table in ["refresh_tokens", "authorization_codes"] {
            let sql = format!(
                "DELETE FROM {table} WHERE account_id =
                 (SELECT id FROM accounts WHERE merchant_id = ?1 AND username = ?2)"
            );
            transaction.execute(&sql, params![args.merchant, args.username])?;
        }
        let sql = "SELECT id FROM accounts WHERE merchant_id = ?1 AND username = ?2";
        let id: i64 = transaction.query_row(sql, params![args.merchant, args.username], |row| row.get(0))?;
        let object = format!("account:{id} role={role} tester={}", args.tester);
        record(&transaction, args.merchant, "account.set", object, now)?;
        transaction.commit()?;
        println!("{role} {}", args.username);
        Ok(())
    }
}

/// The sub-commands of `origin client`.
#[derive(clap::Subcommand)]
pub enum ClientCommand {
    /// Add a program or replace its secret, which is printed, and end its sign-ins. Options that are left out
    /// keep their value
    Set(ClientArgs),
    /// Say whose roles an app's client keeps: customers' only, or also those of the merchant's users, who can
    /// write
    Mark {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
        /// The app's OAuth client
        #[arg(long, value_name = "TEXT")]
        client_id: String,
        /// Whose roles the tokens of the client have
        #[arg(long = "for", value_enum)]
        of: For,
    },
    /// Allow an app to be returned to at an address after sign-in
    Redirect {
        /// The database
        #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
        db: PathBuf,
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
    /// The database
    #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
    db: PathBuf,
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
    /// Runs the command.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Set(args) => set(&args),
            Self::Mark { db, client_id, of } => mark(&db, &client_id, of),
            Self::Redirect { db, client_id, uri } => allow_redirect(&db, &client_id, &uri),
        }
    }
}

fn set(args: &ClientArgs) -> Result<()> {
    let mut connection = db::open(&args.db).with_context(|| args.db.display().to_string())?;
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

fn mark(db: &std::path::Path, client_id: &str, of: For) -> Result<()> {
    let mut connection = db::open(db).with_context(|| db.display().to_string())?;
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

fn allow_redirect(db: &std::path::Path, client_id: &str, uri: &str) -> Result<()> {
    redirect::check(uri).map_err(|problem| anyhow!("--uri: {problem}"))?;
    let mut connection = db::open(db).with_context(|| db.display().to_string())?;
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

/// Writes the audit entry, in the transaction of the action.
fn record(
    transaction: &Connection,
    merchant_id: i64,
    action: &'static str,
    object: String,
    now: UnixSecs,
) -> Result<()> {
    let (actor, deed) = (Actor::command(merchant_id), Deed::new(action, object));
    Ok(audit::record(transaction, &actor, &deed, &Outcome::Done(None), now)?)
}
