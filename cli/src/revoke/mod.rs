//! `admit revoke`: puts a token, a customer or an issuer's key on the denylist of the published head.
//!
//! It needs no lease, because a follower holds the lease for as long as it runs: a head that changes only the
//! denylist is accepted beside the lease (docs/adr/0024). A publisher that has not seen the new head could
//! still publish over it, so this command looks again for a while, and publishes again if the entry is gone.

mod report;
mod target;

use std::{path::PathBuf, time::Duration};

use admit_publish::{
    head::{HeadSigner, SignedHead},
    limits::REVOKED_AHEAD_SECS,
    peer::{Outside, time::Time},
    store::{Faster, LAG, LeaseHeld, NewHead, Store, is_older},
};
use admit_snapshot::{
    denylist::{Denied, Denylist, Target as DeniedTarget},
    head::Head,
    limits::DENYLIST_MAX_BYTES,
    time::{UnixSecs, iso8601},
};
use anyhow::{Context, Result, bail};

use self::{
    report::DenylistReport,
    target::{Asked, Target},
};
use crate::token_args::BearerArgs;

/// How often publishing is tried while others publish too.
const ATTEMPTS: u32 = 10;

/// Between two looks at the published head. KV caches the head for 30 s.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How messages begin when a publisher may have published over the entry.
const UNCERTAIN: &str = "not certain that the entry stays";

/// The message when the command has ended its own access to the Worker.
const OWN_KEY: &str = "That key signs this command's own tokens, which are refused from now on: another publisher's token \
                       is needed to see whether the entry stays (admit revoke --list)";

/// Arguments of `admit revoke`.
#[derive(clap::Args)]
#[command(after_help = "\
Within two minutes every edge answers 401 to a revoked token, however valid its signature, without asking the
origin. Nothing else changes: a follower continues, and every publish, compaction and rollback keeps the revocation
until its end. A customer can sign in again and keeps what the origin has granted. A key is named by its kid in the
issuer's JWKS.

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
    /// When the revocation ends: not before the last token that it refuses [default: the end of a whole token
    /// given to --token]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["list", "lift"])]
    until: Option<String>,
    /// The reason, shown in the list and in the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "list")]
    reason: String,
    /// Take the revocation back
    #[arg(long, conflicts_with = "list")]
    lift: bool,
    /// Show the denylist
    #[arg(long)]
    list: bool,
    /// How long to watch, in seconds, whether a publisher that has not seen the revocation publishes over it:
    /// it must stay for 90 s without a break. 0 does not watch
    #[arg(long, value_name = "SECS", default_value_t = 600)]
    watch: u64,
    #[command(flatten)]
    bearer: BearerArgs,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// The network, and time; replaced by tests.
    #[arg(skip)]
    outside: Outside,
}

/// Runs `admit revoke`.
///
/// # Errors
/// The target cannot be read, nothing is published, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open_in(&args.place, &args.bearer.credentials(), &args.outside).context("--in")?;
    if args.list {
        let head = current(&store, args.key.as_deref())?;
        return DenylistReport::list(&head, store.now()?).print(args.json);
    }
    let signer = HeadSigner::new(args.key.as_deref().context("--key")?, None)?;
    let now = store.now()?;
    if (1..LAG.as_secs()).contains(&args.watch) {
        bail!(
            "--watch must be 0 or at least {}: a store may show the previous head for that time",
            LAG.as_secs()
        );
    }
    let target = Target::read(Asked { token: &args.token, customer: &args.customer, key: &args.issuer_key })?;
    target.check_known(&store, args.lift)?;
    let mut entry = target.entry(args.until.as_deref(), &args.reason, now, args.lift)?;
    let before = current(&store, args.key.as_deref())?;
    if entry.is_lifted && !before.denylist.entries().iter().any(|known| known.target == entry.target) {
        bail!("not revoked: {}. admit revoke --list shows the denylist", entry.target);
    }
    entry.since = since(&entry, now, &before);
    let ends_own_access = ends_own_access(args, &store, &entry)?;
    let head = publish(&*args.outside.time, &store, &signer, &mut entry)?;
    if !args.json {
        println!("{}", report::done(&entry, &head));
    }
    if ends_own_access {
        eprintln!("{OWN_KEY}");
    } else {
        watch(args, &store, &signer, &mut entry, &head)?;
    }
    if args.json {
        return DenylistReport::list(&head, now).print(true);
    }
    Ok(())
}

/// Whether the entry makes the Worker refuse this command's own tokens. Other stores take no such tokens.
fn ends_own_access(args: &Args, store: &Store, entry: &Denied) -> Result<bool> {
    match &entry.target {
        DeniedTarget::IssuerKey { issuer, kid } if !entry.is_lifted && store.is_worker() => {
            args.bearer.credentials().is_signed_by(issuer, kid, &args.outside.time)
        }
        _ => Ok(false),
    }
}

/// The published head, which the key must have signed.
///
/// # Errors
/// Nothing is published yet, or another key has signed it.
pub fn current(store: &Store, key: Option<&std::path::Path>) -> Result<Head> {
    let jws = store.head()?.context("nothing is published yet, so no edge could refuse a token")?;
    SignedHead::read(&jws, key)?.trusted("the published head")
}

/// The time from which an entry counts. A customer's tokens carry the issuer's clock, which may be ahead of
/// this machine's, so tokens of the next minute are refused too.
fn since(entry: &Denied, now: UnixSecs, published: &Head) -> UnixSecs {
    match entry.target {
        DeniedTarget::Customer(_) if !entry.is_lifted => {
            let latest = now.max(published.as_of).max(published.published_at.unwrap_or(now));
            latest.saturating_add(REVOKED_AHEAD_SECS)
        }
        _ => now,
    }
}

/// Publishes the published data again, with the entry.
///
/// # Errors
/// Nothing is published yet, there is no room, or the store does not answer or refuses.
pub fn publish(time: &dyn Time, store: &Store, signer: &HeadSigner, entry: &mut Denied) -> Result<Head> {
    let mut attempts = 0;
    loop {
        let published = current(store, Some(signer.path()))?;
        take_place(entry, &published.denylist);
        if published.denylist.entries().contains(entry) {
            return Ok(published);
        }
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
        let error = match store.put_head(NewHead {
            head: &head,
            follows: Some(&published),
            takes_away: false,
            signer,
        }) {
            Ok(head) => return Ok(head),
            Err(error) => error,
        };
        attempts += 1;
        if attempts == ATTEMPTS && error.is::<LeaseHeld>() {
            return Err(error.context(format!(
                "{ATTEMPTS} attempts were refused because a publisher is at work. Run it again; if it is still refused, \
                 the Worker may be of a release that takes no revocation beside a publisher: update it, or stop the \
                 publisher"
            )));
        }
        if attempts == ATTEMPTS || !is_passing(&error) {
            return Err(error);
        }
        time.sleep(Duration::from_secs(1));
    }
}

/// Whether the next attempt may succeed, because another publisher was faster.
fn is_passing(error: &anyhow::Error) -> bool {
    // A Worker that sees an older head than this command saw takes the new one for other data.
    error.is::<Faster>() || error.is::<LeaseHeld>() || is_older(error)
}

/// Puts the entry after the earlier one for the same target, which it replaces. A lift lasts as long as that
/// one.
fn take_place(entry: &mut Denied, denylist: &Denylist) {
    let known = denylist.entries().iter().find(|known| known.target == entry.target);
    if let Some(known) = known.filter(|known| *known != entry) {
        entry.since = entry.since.max(known.since.saturating_add(1));
        entry.until = entry.until.max(known.until);
    }
}

/// Watches until the entry has stayed for as long as the store may show an older head, and publishes it again
/// whenever a publisher has published over it. `head` is the head that was published with the entry.
fn watch(args: &Args, store: &Store, signer: &HeadSigner, entry: &mut Denied, head: &Head) -> Result<()> {
    if args.watch == 0 || !has_publisher(store)? {
        return Ok(());
    }
    if !args.json {
        println!("A publisher is at work: looking for {} s whether the entry stays", LAG.as_secs());
    }
    let (time, whole) = (&args.outside.time, Duration::from_secs(args.watch));
    let order = |head: &Head| (head.seq, head.as_of);
    let start = time.elapsed();
    let (mut published, mut published_at) = (order(head), start);
    let mut seen_at = None;
    loop {
        let found = current(store, Some(signer.path())).context(UNCERTAIN)?;
        let looked_at = time.elapsed();
        if is_there(entry, &found.denylist, store.now()?) {
            if looked_at.saturating_sub(*seen_at.get_or_insert(looked_at)) >= LAG {
                return Ok(());
            }
        } else {
            seen_at = None;
            let may_be_late = looked_at.saturating_sub(published_at) < LAG;
            if order(&found) >= published || !may_be_late {
                eprintln!("warning: seq {} was published without it; publishing it again", found.seq);
                published = order(&publish(&*args.outside.time, store, signer, entry).context(UNCERTAIN)?);
                published_at = looked_at;
            }
        }
        if looked_at.saturating_sub(start) >= whole {
            bail!(
                "{UNCERTAIN}: in {} s of looking it was never there for {} s without a break. Run it again",
                args.watch,
                LAG.as_secs()
            );
        }
        time.sleep(LOOK_EVERY);
    }
}

/// Whether a denylist has the entry, or a later one for the same target.
fn is_there(entry: &Denied, denylist: &Denylist, now: UnixSecs) -> bool {
    let is_it = |known: &Denied| {
        known.since == entry.since && known.is_lifted == entry.is_lifted && known.until >= entry.until
    };
    let mut known = denylist.entries().iter().filter(|known| known.target == entry.target);
    now >= entry.until || known.any(|known| known.since > entry.since || is_it(known))
}

fn has_publisher(store: &Store) -> Result<bool> {
    let now = store.now()?;
    Ok(store.lease()?.is_some_and(|lease| lease.excludes(None, now)))
}

/// A moment as text.
fn moment(at: UnixSecs) -> String {
    iso8601(at, 0)
}

#[cfg(test)]
mod tests;
