//! `admit canary`: measures how soon running edges see a revocation and a grant.
//!
//! A *marker* is something of the canary's own that is taken away and given back: a token on the denylist
//! ([`denylist`]), or an access at the origin ([`access`]). [`edge`] asks an edge whether the marker's viewer has it,
//! [`watch`] notes when the answers change, [`report`] prints the result. The marker is in its first state again when
//! the command ends, also after an error or a signal, and by itself if the command was killed.
//!
//! A canary publishes no change of its own: a change carries the origin's count, and the follower would take the origin's
//! change of the same count for published (docs/adr/0060).

mod access;
mod denylist;
mod edge;
mod report;
mod watch;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use admit_publish::{
    bearer::{Bearer, Credentials},
    peer::Outside,
};
use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result, bail};
use signal_hook::{consts::TERM_SIGNALS, flag};

use self::{
    access::Access,
    denylist::Listed,
    edge::{Edge, Probe},
    report::Report,
    watch::{Pace, watch},
};
use crate::token_args::BearerArgs;

/// Shortest time to wait for an edge: less would not see what KV needs.
const TIMEOUT_LEAST_SECS: u64 = 5;

/// Added to the time in which a marker could still be waited for; then it ends by itself.
const SPARE_SECS: u64 = 60;

/// Arguments of `admit canary`.
#[derive(clap::Args)]
#[command(after_help = "\
Each round takes the marker away and gives it back, and asks every --edge all the time. The delay runs from the moment
at which the change was sent to the first answer that knows it and was followed by no older one. Edges answer with
several isolates: `first` is the first answer that knew.

By default the marker is the token of --viewer itself: it is put on the denylist and lifted again, as `admit revoke`
does. That works beside a follower, needs no lease, and touches nobody else. With --merchant it is an access: granted
and taken away through the edge's write routes, which adds the time of origin and follower. The customer must have no
access to that item before.

However the command ends, the marker ends by itself --timeout and a minute after it was last published.

Examples:
  admit canary --edge https://api.example.com --key publisher.jwk --viewer @marker.jwt
  admit canary --edge https://api.example.com --edge https://eu.api.example.com --key publisher.jwk \\
    --viewer-key issuer.jwk --viewer-claims '{\"iss\":\"https://id.example\",\"aud\":\"admit\",\"sub\":\"canary\"}'
  admit canary --edge https://api.example.com --merchant @merchant.jwt --item 5101 --consumer 88005 \\
    --viewer @marker.jwt --json")]
#[command(group(clap::ArgGroup::new("marker").required(true).args(["key", "merchant"])))]
#[command(group(clap::ArgGroup::new("viewer_token").required(true).args(["viewer", "viewer_key"])))]
pub struct Args {
    /// An edge to ask; may be repeated. Changes are sent to the first one
    #[arg(long = "edge", value_name = "URL", required = true)]
    edges: Vec<String>,
    /// Where heads are published, if not at the first edge
    #[arg(long = "in", visible_alias = "to", value_name = "STORE", requires = "key")]
    place: Option<String>,
    /// Private JWK (EdDSA) that signs the head: the marker is the viewer's token on the denylist
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Token of a merchant, or @FILE: the marker is an access to --item, granted to --consumer through the first edge
    #[arg(long, value_name = "JWT", env = "ADMIT_CANARY_MERCHANT", hide_env_values = true)]
    #[arg(requires_all = ["item", "consumer"])]
    merchant: Option<String>,
    /// With --merchant, the item of the marker
    #[arg(long, value_name = "ID", requires = "merchant", value_parser = clap::value_parser!(i64).range(1..))]
    item: Option<i64>,
    /// With --merchant, the number of the customer whose token is --viewer
    #[arg(long, value_name = "ID", requires = "merchant", value_parser = clap::value_parser!(i64).range(1..))]
    consumer: Option<i64>,
    /// Token of the marker's viewer, or @FILE
    #[arg(long, value_name = "JWT", env = "ADMIT_CANARY_VIEWER", hide_env_values = true)]
    viewer: Option<String>,
    /// Private JWK of an issuer, which signs a token of the marker's viewer
    #[arg(long, value_name = "FILE", requires = "viewer_claims")]
    viewer_key: Option<PathBuf>,
    /// With --viewer-key, the claims as a JSON object: `iss`, `sub`, and `aud` if the Worker asks for it
    #[arg(long, value_name = "JSON", requires = "viewer_key")]
    viewer_claims: Option<String>,
    #[command(flatten)]
    bearer: BearerArgs,
    /// How often the marker is taken away and given back
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Between two questions to an edge, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 250, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    every_ms: u64,
    /// How long to wait for an edge, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 150)]
    #[arg(value_parser = clap::value_parser!(u64).range(TIMEOUT_LEAST_SECS..=3_600))]
    timeout: u64,
    /// How long an edge must give no older answer to count as changed, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
    settle: u64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// The network, and time; replaced by tests.
    #[arg(skip)]
    outside: Outside,
}

/// Something of the canary's own that edges grant or refuse.
trait Marker {
    /// What the marker is, for messages.
    fn name(&self) -> String;

    /// Grants it or takes it away, from now on.
    ///
    /// # Errors
    /// The edge, the store or the origin does not answer or refuses.
    fn set(&mut self, is_granted: bool) -> Result<()>;

    /// Whether it is granted while no canary runs.
    fn is_granted_at_rest(&self) -> bool;
}

/// Runs `admit canary`. The exit code is 1 if an edge did not see a change in time.
///
/// # Errors
/// An argument cannot be used, a token lacks a right, or the marker cannot be put back.
pub fn run(args: &Args) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        // The second signal ends the command at once, as if there were no handler.
        flag::register_conditional_default(*signal, Arc::clone(&stop)).context("cannot wait for signals")?;
        flag::register(*signal, Arc::clone(&stop)).context("cannot wait for signals")?;
    }
    measure(args, &stop)
}

/// The whole command, until it is done or `stop` is set.
fn measure(args: &Args, stop: &AtomicBool) -> Result<ExitCode> {
    let viewer = viewer(args)?;
    let health = args.bearer.credentials().bearer(&args.outside.time)?;
    let probe = args.item.map_or(Probe::Token, Probe::Item);
    let edges = args.edges.iter().map(|url| Edge::new(url, &viewer, health.clone(), probe, &args.outside));
    let edges = edges.collect::<Result<Vec<_>>>()?;
    let mut marker = marker(args, &edges, &viewer)?;
    let rest = marker.is_granted_at_rest();
    // Before anything is changed, so that there is nothing to put back.
    edges.iter().try_for_each(|edge| edge.check(rest))?;
    let mut report = Report::new(marker.name(), &args.edges);
    let outcome = rounds(args, &edges, &mut *marker, &mut report, stop);
    // Whatever happened: as it was before.
    let is_clean = outcome.as_ref().is_ok_and(|at_rest| *at_rest);
    let put_back = if is_clean { Ok(()) } else { marker.set(rest) };
    if let Err(error) = put_back {
        let name = marker.name();
        let ends = args.timeout.saturating_add(SPARE_SECS);
        let error = error.context(format!("{name} could not be put back; it ends by itself within {ends} s"));
        return Err(match outcome {
            Err(first) => error.context(format!("{first:#}")),
            Ok(_) => error,
        });
    }
    outcome?;
    report.is_interrupted = stop.load(Ordering::Relaxed);
    report.print(args.json)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All rounds. Whether the marker is at rest afterwards.
fn rounds(
    args: &Args,
    edges: &[Edge],
    marker: &mut dyn Marker,
    report: &mut Report,
    stop: &AtomicBool,
) -> Result<bool> {
    let rest = marker.is_granted_at_rest();
    let pace = Pace {
        every: Duration::from_millis(args.every_ms),
        settle: Duration::from_secs(args.settle),
        timeout: Duration::from_secs(args.timeout),
    };
    for round in 1..=args.rounds {
        for is_granted in [!rest, rest] {
            if stop.load(Ordering::Relaxed) {
                return Ok(is_granted != rest);
            }
            let seen = watch(edges, is_granted, pace, stop, &*args.outside.time, || marker.set(is_granted))?;
            if !args.json {
                eprintln!("{}", report::progress(round, args.rounds, is_granted, &seen));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(is_granted == rest);
            }
            report.add(is_granted, seen);
        }
    }
    Ok(true)
}

fn marker<'a>(args: &'a Args, edges: &'a [Edge], viewer: &Viewer) -> Result<Box<dyn Marker + 'a>> {
    let lasts = Duration::from_secs(args.timeout.saturating_add(SPARE_SECS));
    let first = edges.first().context("--edge")?;
    if let (Some(token), Some(item), Some(consumer)) = (&args.merchant, args.item, args.consumer) {
        let bearer = Bearer::new(token).context("--merchant")?;
        return Ok(Box::new(Access::new(first, bearer, (item, consumer), lasts)?));
    }
    let place = args.place.as_deref().or_else(|| args.edges.first().map(String::as_str)).unwrap_or_default();
    let key = args.key.as_deref().context("--key")?;
    Ok(Box::new(Listed::new(place, &args.bearer.credentials(), key, viewer, lasts, &args.outside)?))
}

/// The token of the marker's viewer: one for the whole run.
pub struct Viewer {
    /// The value of `Authorization`.
    header: String,
}

/// The viewer's token, which must outlive the run.
fn viewer(args: &Args) -> Result<Viewer> {
    let longest = longest_secs(args);
    let credentials = match (&args.viewer_key, &args.viewer_claims) {
        (Some(key), Some(claims)) => {
            let mut claims: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(claims).context("--viewer-claims must be a JSON object")?;
            // A viewer's token may publish nothing, whatever its issuer may.
            claims.entry("scope").or_insert_with(|| "".into());
            let claims = serde_json::Value::Object(claims).to_string();
            let ttl_secs = longest.min(86_400);
            Credentials { key: Some(key.clone()), claims: Some(claims), ttl_secs, token: None }
        }
        _ => Credentials { token: args.viewer.clone(), ..Credentials::default() },
    };
    let bearer = credentials.bearer(&args.outside.time).context("--viewer")?.context("--viewer")?;
    let viewer = Viewer { header: bearer.header().context("--viewer")? };
    let now = args.outside.time.unix_secs()?;
    if let Some(left) =
        viewer.ends_at().map(|end| end.saturating_sub(now)).filter(|left| *left < longest.min(86_400))
    {
        bail!(
            "--viewer: the token ends in {left} s, and the run may take {longest} s: give a longer one, fewer --rounds or a \
             shorter --timeout"
        );
    }
    Ok(viewer)
}

/// The longest time that a run may take, in seconds.
fn longest_secs(args: &Args) -> UnixSecs {
    let each = args.timeout.saturating_add(args.settle);
    let all = u64::from(args.rounds).saturating_mul(2).saturating_mul(each).saturating_add(SPARE_SECS);
    UnixSecs::try_from(all).unwrap_or(UnixSecs::MAX)
}

impl Viewer {
    /// The token without its scheme.
    fn token(&self) -> &str {
        self.header.strip_prefix("Bearer ").unwrap_or(&self.header)
    }

    /// Header and payload, as they were signed.
    fn signed(&self) -> &str {
        self.token().rsplit_once('.').map_or(self.token(), |(signed, _)| signed)
    }

    /// When the token ends, if it says so.
    fn ends_at(&self) -> Option<UnixSecs> {
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        let (_, payload) = self.signed().split_once('.')?;
        let claims: serde_json::Value =
            serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).ok()?).ok()?;
        admit_snapshot::instant::from_json(claims.get("exp")?).ok().map(|end| end.at)
    }
}

#[cfg(test)]
mod tests;
