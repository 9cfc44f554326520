//! `admit revoke`: puts a token, a customer or an issuer's key on the denylist of the published head.
//!
//! It needs no lease, so that it does not wait for a follower, which holds the lease for as long as it runs: a head that
//! changes nothing but the denylist is taken beside the lease (docs/adr/0024). What a publisher has not seen of it yet,
//! it could still publish over; therefore this command looks again for a while.

mod report;
mod target;

use std::{path::PathBuf, time::Duration};

use admit::{
    limits::DENYLIST_MAX_BYTES,
    snapshot::{
        denylist::{Denied, Denylist},
        head::Head,
        time::{UnixSecs, iso8601},
    },
};
use anyhow::{Context, Result, bail};

use self::{
    report::Report,
    target::{Asked, Target},
};
use crate::{
    bearer::BearerArgs,
    head::{HeadSigner, Published, published},
    peer::Outside,
    store::{Faster, LeaseHeld, NewHead, Store},
};

/// How often publishing is tried while others publish.
const ATTEMPTS: u32 = 10;

/// Between two looks at the published head: KV keeps what it has shown for 30 s.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Arguments of `admit revoke`.
#[derive(clap::Args)]
#[command(after_help = "\
What is revoked gets 401 within two minutes at every edge, however good its signature is, and the origin is not
asked. Nothing else changes: a follower goes on, and every publish, compaction and rollback keeps the revocation
until its end. A customer can sign in again; what the customer owns is the origin's to say. A key is named as in
the issuer's JWKS.

Examples:
  admit revoke --in https://api.example.com --key publisher.jwk --token @stolen.jwt --reason 'ticket 4711'
  admit revoke --in https://api.example.com --key publisher.jwk --customer vendor:4711 --until 2027-01-31
  admit revoke --in https://api.example.com --key publisher.jwk \\
    --issuer-key https://id.example.com 2026-08 --until 2027-12-31T00:00:00Z
  admit revoke --in https://api.example.com --key publisher.jwk --customer vendor:4711 --lift
  admit revoke --in https://api.example.com --list")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["token", "customer", "issuer_key", "list"])))]
pub struct Args {
    /// Where it is published: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long = "in", visible_aliases = ["from", "to"], value_name = "STORE")]
    place: String,
    /// Private JWK (EdDSA) that signs the head; it must have signed the published one
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    key: Option<PathBuf>,
    /// Revoke one token: the token itself, its `jti`, or @FILE with either
    #[arg(long, value_name = "TOKEN|JTI")]
    token: Option<String>,
    /// Revoke every token of a customer that has been issued until now
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: Option<String>,
    /// Revoke every token that a key of an issuer has signed
    #[arg(long, num_args = 2, value_names = ["ISSUER", "KID"])]
    issuer_key: Option<Vec<String>>,
    /// When the revocation ends: no earlier than the last token that it is to refuse [default: the end of a --token
    /// that is given whole]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["list", "lift"])]
    until: Option<String>,
    /// Why, for those who read the list and the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "list")]
    reason: String,
    /// Take the revocation back
    #[arg(long, conflicts_with = "list")]
    lift: bool,
    /// Show what is revoked
    #[arg(long)]
    list: bool,
    /// How long to look whether a publisher that has not seen the revocation publishes over it, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 75)]
    watch: u64,
    #[command(flatten)]
    bearer: BearerArgs,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// The network, and time.
    #[arg(skip)]
    outside: Outside,
}

/// Runs `admit revoke`.
///
/// # Errors
/// What is to be revoked cannot be read, nothing is published, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open_in(&args.place, &args.bearer.clone().into(), &args.outside).context("--in")?;
    if args.list {
        let head = current(&store, args.key.as_deref())?;
        return Report::list(&head, store.now()?).print(args.json);
    }
    let signer = HeadSigner::new(args.key.as_deref().context("--key")?, None)?;
    let now = store.now()?;
    let target = Target::read(Asked { token: &args.token, customer: &args.customer, key: &args.issuer_key })?;
    target.check_known(&store)?;
    let mut entry = target.entry(args.until.as_deref(), &args.reason, now, args.lift)?;
    let head = publish(args, &store, &signer, &mut entry)?;
    if !args.json {
        println!("{}", report::done(&entry, &head));
    }
    watch(args, &store, &signer, &mut entry)?;
    if args.json {
        return Report::list(&head, now).print(true);
    }
    Ok(())
}

fn current(store: &Store, key: Option<&std::path::Path>) -> Result<Head> {
    let jws = store.head()?.context("nothing is published yet: there is nobody to refuse")?;
    match published(&jws, key)? {
        Published::Verified(head) | Published::Unverified(head) => Ok(head),
        Published::OtherKey(_) => bail!("the published head is signed by another key than --key"),
        Published::Broken(reason) => bail!("the published head cannot be trusted: {reason}"),
    }
}

/// Publishes the published data once more, with the entry.
fn publish(args: &Args, store: &Store, signer: &HeadSigner, entry: &mut Denied) -> Result<Head> {
    let mut attempts = 0;
    loop {
        let published = current(store, Some(signer.path()))?;
        take_place(entry, &published.denylist)?;
        let mut head = published.renewed(published.as_of.saturating_add(1));
        head.denylist.add(entry.clone());
        let bytes = serde_json::to_vec(&head.denylist)?.len();
        if bytes > DENYLIST_MAX_BYTES {
            bail!(
                "the denylist would have {bytes} bytes: there is room for {DENYLIST_MAX_BYTES}. Revoke the customer or the \
                 issuer's key instead of single tokens"
            );
        }
        head.published_at = Some(store.now()?);
        let error = match store.put_head(NewHead { head: &head, follows: Some(&published), signer }) {
            Ok(head) => return Ok(head),
            Err(error) => error,
        };
        attempts += 1;
        if error.is::<LeaseHeld>() {
            return Err(error.context(
                "this Worker is of a release that takes no revocation while a publisher is at work: update it, or stop \
                 the publisher",
            ));
        }
        if attempts == ATTEMPTS || !is_passing(&error) {
            return Err(error);
        }
        args.outside.time.sleep(Duration::from_secs(1));
    }
}

/// Whether it may go the next time: somebody has published in between.
fn is_passing(error: &anyhow::Error) -> bool {
    error.is::<Faster>() || format!("{error:#}").contains("A newer head is published")
}

/// Gives the entry its place behind the one for the same target, which it replaces. A lift lasts as long as that.
fn take_place(entry: &mut Denied, denylist: &Denylist) -> Result<()> {
    let known = denylist.entries().iter().find(|known| known.target == entry.target);
    if let Some(known) = known.filter(|known| *known != entry) {
        entry.since = entry.since.max(known.since.saturating_add(1));
        entry.until = entry.until.max(known.until);
    }
    if entry.is_lifted && known.is_none() {
        bail!("it is not revoked: {}. admit revoke --list shows what is", entry.target);
    }
    Ok(())
}

/// Looks again for a while, and publishes the entry once more if somebody has published over it.
fn watch(args: &Args, store: &Store, signer: &HeadSigner, entry: &mut Denied) -> Result<()> {
    if !is_anybody_at_work(store)? {
        return Ok(());
    }
    let (time, whole) = (&args.outside.time, Duration::from_secs(args.watch));
    let start = time.elapsed();
    if !args.json && !whole.is_zero() {
        println!("A publisher is at work: looking for {} s whether it has seen this", args.watch);
    }
    while time.elapsed().saturating_sub(start) < whole {
        time.sleep(LOOK_EVERY.min(whole));
        let published = current(store, Some(signer.path()))?;
        let mut wanted = Denylist::default();
        wanted.add(entry.clone());
        if !published.denylist.has_all_of(&wanted, store.now()?) {
            eprintln!("warning: seq {} was published without it; publishing it again", published.seq);
            publish(args, store, signer, entry)?;
        }
    }
    Ok(())
}

fn is_anybody_at_work(store: &Store) -> Result<bool> {
    let now = store.now()?;
    Ok(store.lease()?.is_some_and(|lease| lease.excludes(None, now)))
}

/// A moment, for people.
fn moment(at: UnixSecs) -> String {
    iso8601(at, 0)
}
