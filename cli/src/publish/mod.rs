//! `admit publish`: turns the origin's records into the snapshot that edges serve - fully, incrementally, or
//! continuously.
//!
//! `whole` publishes an export: `input` reads it, `namespaces` and `loss` check it, `kept` holds the built
//! objects, `upload` sends those that the store lacks. `changes` publishes a delta, `compaction` writes a
//! large delta into the shards, `follow` does both for as long as it runs. `publisher` signs and puts the
//! head, `seq` numbers it, `outcome` reports.

mod changes;
mod compaction;
mod follow;
mod input;
mod kept;
mod loss;
mod namespaces;
mod outcome;
mod publisher;
mod seq;
pub mod upload;
mod whole;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use admit_publish::source::Strictness;
use anyhow::{Context, Result, bail};

use self::{publisher::Publisher, whole::Ended};
use crate::{
    bearer::TokenArgs,
    origin::{Origin, is_url},
    peer::Outside,
    store::{Guard, Holder, Store},
};

/// The exit code when the data is wrong and nothing was published, so that a job can tell it from a network
/// failure.
const EXIT_DATA: u8 = 2;

/// The exit code when the version was published and records were set aside.
const EXIT_SET_ASIDE: u8 = 3;

/// Arguments of `admit publish`.
#[derive(clap::Args)]
#[command(after_help = "\
--from must be complete: records that it omits are removed from the edge. Everything is checked first. A record
that cannot be used is set aside: its last good state stays published, all others are published, and the exit code
is 3. With --strict nothing is published then, and the exit code is 2. Nothing is published either, with exit code
2, when the input as a whole cannot be used or would remove more than half of the grants. Only objects that the
edge lacks are uploaded, each is checked there, and the signed head comes last. Interrupted at any point, the edge
serves what it served before, and the next run continues.

--changes applies lines of a change feed to the published version, with two writes for any number of lines. Without
--follow it can change only customers. --follow publishes --from and then each change, until it is stopped; it
requests <from>?after=<seq>, or the URL of --changes if that is given.

Examples:
  admit publish --from catalogue/ --to https://api.example.com --key publisher.jwk
  export-job | admit publish --from - --to https://api.example.com --key publisher.jwk
  admit publish --from https://origin.example.com/export --follow --to https://api.example.com --key publisher.jwk
  admit publish --from https://origin.example.com/export --follow --to https://api.example.com --key publisher.jwk \\
    --token-key issuer.jwk --token-claims '{\"iss\":\"https://publisher.example\",\"aud\":\"admit\"}'
  admit publish --changes changes.ndjson --to https://api.example.com --key publisher.jwk
  admit publish --from catalogue/ --dry-run       # only check and build; needs neither key nor Worker

ADMIT_TOKEN keeps the token off the command line, which every user of the machine can read:
  ADMIT_TOKEN=$(admit token --key issuer.jwk --claims '{\"iss\":\"https://publisher.example\",\\
    \"aud\":\"admit\",\"sub\":\"sync\",\"scope\":\"snapshot:publish\"}') admit publish ...")]
pub struct Args {
    /// NDJSON file, directory whose *.ndjson and *.ndjson.gz files are read in the order of their names, - for stdin,
    /// or the URL of the origin's export; gzip is decoded
    #[arg(long, value_name = "PATH|URL", required_unless_present = "changes")]
    from: Option<String>,
    /// Changes to apply to the published version: a file, - for stdin, or a URL; with --follow the URL of the
    /// change feed
    #[arg(long, value_name = "PATH|URL")]
    changes: Option<String>,
    /// Keep running, and publish the changes from the origin's feed
    #[arg(long, requires = "from", conflicts_with = "dry_run")]
    follow: bool,
    /// Least time between two publishes while following, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// While following, how often to delete objects that no version needs, in seconds, as `admit gc` does; 0
    /// for never
    #[arg(long, value_name = "SECS", default_value_t = 3_600)]
    gc_every: u64,
    /// While following, how often to renew the head of a quiet origin that answers, in seconds, so that the
    /// head's age tells whether the origin is heard; 0 for never
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    heartbeat: u64,
    /// Where to publish: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE", required_unless_present = "dry_run")]
    to: Option<String>,
    /// Private JWK (EdDSA) that signs the head, made by `admit keygen`
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    key: Option<PathBuf>,
    /// The previous key, while --key replaces it: a JWK, or the JWKS that `admit keygen --public` printed. A
    /// published head that neither key has signed is not believed
    #[arg(long, value_name = "FILE", requires = "key")]
    old_key: Option<PathBuf>,
    /// Name of the store, such as production: an edge with another SNAPSHOT_AUDIENCE refuses the head
    /// [default: the published head's]
    #[arg(long, value_name = "NAME", env = "ADMIT_AUDIENCE")]
    audience: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Bearer token for the origin, where --from or --changes is a URL, or @FILE
    #[arg(long, value_name = "TOKEN", env = "ADMIT_ORIGIN_TOKEN", hide_env_values = true)]
    origin_token: Option<String>,
    /// Write nothing; with --to, report what would be uploaded
    #[arg(long)]
    dry_run: bool,
    /// Publish nothing if any record cannot be used, instead of setting it aside
    #[arg(long)]
    strict: bool,
    /// Print JSON for programs: the published version, and the records that were set aside
    #[arg(long, conflicts_with = "follow")]
    json: bool,
    /// The origin's count of changes [default: the snapshot line's, else the published one plus 1]
    #[arg(long, value_name = "N", conflicts_with_all = ["changes", "follow"])]
    seq: Option<u64>,
    /// Directory for temporary files: they take at most as much as the new snapshot
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
    /// Publish even if more than half of the customers, accesses, subscriptions, items, licences, unlocks or
    /// clients would be removed
    #[arg(long)]
    allow_loss: bool,
    /// Publish customers even if no issuer of the Worker has their namespace, so that no token finds them
    #[arg(long)]
    allow_unknown_namespaces: bool,
    /// Take the lease over from another publisher, which must be gone
    #[arg(long)]
    force: bool,
    /// Trust no stored object: check every object of the new version, and upload broken ones again
    #[arg(long, conflicts_with = "changes")]
    repair: bool,
    /// The network, and time; replaced by tests.
    #[arg(skip)]
    outside: Outside,
}

impl Args {
    const fn strictness(&self) -> Strictness {
        if self.strict { Strictness::Refuse } else { Strictness::SetAside }
    }

    fn temp_dir(&self) -> PathBuf {
        self.temp_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The origin at `url`.
    fn origin(&self, url: &str) -> Result<Origin> {
        Origin::new(url, self.origin_token.as_deref(), &self.outside)
    }

    /// The URL of the origin's change feed.
    fn feed(&self) -> Result<&str> {
        match (&self.changes, &self.from) {
            (Some(url), _) | (None, Some(url)) if is_url(url) => Ok(url),
            _ => bail!("--follow needs the origin's URL, in --from or in --changes"),
        }
    }
}

/// Runs `admit publish`.
///
/// # Errors
/// The input or the key cannot be read, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.follow {
        args.feed()?;
    }
    let open = |to| Store::open_in(to, &args.token, &args.outside).context("--to");
    let store = args.to.as_deref().map(open).transpose()?;
    let publisher = match store {
        Some(store) => Some(
            Publisher::new(store, args.key.as_deref(), args.audience.as_deref())?
                .believing(args.old_key.as_deref()),
        ),
        None => None,
    };
    let Some(from) = &args.from else {
        let publisher =
            publisher.context("--changes needs --to: changes are applied to the published version")?;
        return changes::run(args, &publisher);
    };
    let Some(publisher) = publisher else { return whole::check(args, from) };
    let lease = Lease::new()?;
    if args.follow {
        return follow::run(args, from, publisher, &lease);
    }
    match whole::run(args, from, &publisher, &lease)? {
        Ended::Wrong => Ok(ExitCode::from(EXIT_DATA)),
        Ended::Done(set_aside) => Ok(exit_code(set_aside)),
        Ended::Published(published) => Ok(exit_code(published.catalogue.set_aside.total())),
    }
}

/// The exit code of a publish that has set this number of records aside.
fn exit_code(set_aside: u64) -> ExitCode {
    if set_aside == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_SET_ASIDE) }
}

/// The lease of this run, if it has taken one. A signal gives it back before it ends the run.
pub struct Lease {
    holder: Holder,
    guard: Arc<Mutex<Option<Guard>>>,
}

impl Lease {
    /// No lease yet.
    ///
    /// # Errors
    /// The system has no random numbers for the holder's name.
    pub fn new() -> Result<Self> {
        Ok(Self { holder: Holder::new()?, guard: Arc::default() })
    }

    /// Takes the lease, unless this run has it. A lease that ended while the store was away is taken again.
    ///
    /// # Errors
    /// Another publisher holds it, or the store does not answer.
    pub fn take(&self, store: &Store, force: bool) -> Result<()> {
        let mut guard = self.guard();
        if guard.is_some() {
            drop(guard);
            return if store.check_tenure().is_ok() { Ok(()) } else { self.take_again(store) };
        }
        *guard = Some(store.lock_as(&self.holder, force)?);
        drop(guard);
        self.give_back_on_signal()
    }

    /// Takes the lease again after it could not be renewed in time, unless another publisher has it now.
    ///
    /// # Errors
    /// Another publisher holds it, or the store does not answer.
    pub fn take_again(&self, store: &Store) -> Result<()> {
        let mut guard = self.guard();
        // A lease that has ended need not be given back.
        drop(guard.take());
        *guard = Some(store.lock_as(&self.holder, false)?);
        Ok(())
    }

    /// Checks that this run may write.
    ///
    /// # Errors
    /// This run has no lease, or has lost it.
    pub fn check(&self, store: &Store) -> Result<()> {
        if self.guard().is_none() {
            bail!("this publisher has no lease");
        }
        store.check_tenure()
    }

    fn guard(&self) -> std::sync::MutexGuard<'_, Option<Guard>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publish may be interrupted at any moment: the edge goes on serving what it served. But the next
    /// publisher should not have to wait for the lease to end.
    fn give_back_on_signal(&self) -> Result<()> {
        use signal_hook::{consts::TERM_SIGNALS, iterator::Signals, low_level::emulate_default_handler};
        let mut signals = Signals::new(TERM_SIGNALS).context("cannot wait for signals")?;
        let lease = Arc::downgrade(&self.guard);
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                eprintln!("admit: stopping");
                if let Some(lease) = lease.upgrade() {
                    drop(lease.lock().unwrap_or_else(PoisonError::into_inner).take());
                }
                // As without a handler, so that the parent process sees which signal ended this one.
                let _ = emulate_default_handler(signal);
            }
        });
        Ok(())
    }
}

/// A duration as text.
fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::store::LeaseHeld;

    #[test]
    fn a_lease_that_ended_is_taken_again_unless_another_publisher_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let moment = Arc::new(AtomicI64::new(1_800_000_000));
        let store = || {
            let moment = Arc::clone(&moment);
            Store::in_dir(dir.path(), Arc::new(move || Ok(moment.load(Ordering::Relaxed))))
        };
        let (ours, theirs) = (store(), store());
        let lease = Lease::new().unwrap();
        assert!(lease.check(&ours).is_err());
        lease.take(&ours, false).unwrap();
        lease.check(&ours).unwrap();
        // The store did not answer, so the lease could not be renewed.
        moment.fetch_add(1_000, Ordering::Relaxed);
        assert!(lease.check(&ours).is_err());
        lease.take_again(&ours).unwrap();
        lease.check(&ours).unwrap();
        moment.fetch_add(1_000, Ordering::Relaxed);
        let other = theirs.lock(false).unwrap();
        let error = lease.take_again(&ours).unwrap_err();
        assert!(error.is::<LeaseHeld>(), "{error:#}");
        assert!(lease.check(&ours).is_err(), "without a lease nothing is written");
        drop(other);
        lease.take_again(&ours).unwrap();
        lease.check(&ours).unwrap();
    }
}
