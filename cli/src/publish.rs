//! `admit publish`: turns the origin's records into the snapshot that edges serve - fully, incrementally, or
//! continuously.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use admit_publish::{
    output,
    peer::Outside,
    run::{self, Settings},
};
use anyhow::Result;

use crate::token_args::TokenArgs;

/// Arguments of `admit publish`.
#[derive(clap::Args)]
#[command(after_help = "\
--from must be complete: records that it omits are removed from the edge. Everything is checked first. A record
that cannot be used is set aside: its last good state stays published, all others are published, and the exit code
is 3. With --strict nothing is published then, and the exit code is 2. Nothing is published either, with exit code
2, when the input as a whole cannot be used or would remove more than half of the grants. Only objects that the
edge lacks are uploaded, each is checked there, and the signed head comes last. Interrupted at any point, the edge
serves what it served before, and the next run continues.

--from postgres://ROLE@HOST/DATABASE reads the views admit_export(line jsonb) and admit_changes(seq bigint, line
jsonb) of a PostgreSQL database; --follow waits for its notifications. The password is in PGPASSWORD or in the file
that PGPASSFILE names. Other machines are reached by TLS only: sslrootcert=FILE in the URL names a private authority.

--changes applies lines of a change feed to the published version, with one write for any number of lines. Without
--follow it can change only customers. --follow publishes --from and then each change, until it is stopped; it
asks for what comes after the last change at --from, or at --changes if that is given.

Examples:
  admit publish --from catalogue/ --to https://api.example.com --key publisher.jwk
  export-job | admit publish --from - --to https://api.example.com --key publisher.jwk
  admit publish --from https://origin.example.com/export --follow --to https://api.example.com --key publisher.jwk
  admit publish --from https://origin.example.com/export --follow --to https://api.example.com --key publisher.jwk \\
    --token-key issuer.jwk --token-claims '{\"iss\":\"https://publisher.example\",\"aud\":\"admit\"}'
  PGPASSFILE=shop.pgpass admit publish --from postgres://admit_reader@db.example.com/shop --follow \\
    --to https://api.example.com --key publisher.jwk
  admit publish --changes changes.ndjson --to https://api.example.com --key publisher.jwk
  admit publish --from catalogue/ --dry-run       # only check and build; needs neither key nor Worker

ADMIT_TOKEN keeps the token off the command line, which every user of the machine can read:
  ADMIT_TOKEN=$(admit token --key issuer.jwk --claims '{\"iss\":\"https://publisher.example\",\\
    \"aud\":\"admit\",\"sub\":\"sync\",\"scope\":\"snapshot:publish\"}') admit publish ...")]
pub struct Args {
    /// NDJSON file, directory whose *.ndjson and *.ndjson.gz files are read in the order of their names, - for stdin,
    /// or the URL of the origin's export or database; gzip is decoded
    #[arg(long, value_name = "PATH|URL", required_unless_present = "changes")]
    from: Option<String>,
    /// Changes to apply to the published version: a file, - for stdin, or a URL; with --follow the URL of the
    /// change feed or database
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
    /// While following, serve /metrics (Prometheus), /healthz and /readyz at this address, such as 127.0.0.1:9464;
    /// port 0 takes a free one. Without a token: not an address that others reach
    #[arg(long, value_name = "ADDRESS", requires = "follow")]
    metrics: Option<SocketAddr>,
    /// While following, the form of the log: prose, or a JSON object a line
    #[arg(long, value_name = "FORM", requires = "follow", value_enum, default_value_t = LogForm::Prose)]
    log: LogForm,
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
    /// Store the delta as an object of its own and not beside the head: before Workers go back to a release that
    /// reads a head alone
    #[arg(long)]
    delta_apart: bool,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogForm {
    /// Lines for people.
    Prose,
    /// A JSON object a line.
    Json,
}

impl From<Args> for Settings {
    fn from(args: Args) -> Self {
        Self {
            token: args.token.credentials(),
            from: args.from,
            changes: args.changes,
            follow: args.follow,
            every: args.every,
            gc_every: args.gc_every,
            heartbeat: args.heartbeat,
            to: args.to,
            key: args.key,
            old_key: args.old_key,
            audience: args.audience,
            origin_token: args.origin_token,
            dry_run: args.dry_run,
            strict: args.strict,
            json: args.json,
            seq: args.seq,
            temp_dir: args.temp_dir,
            allow_loss: args.allow_loss,
            allow_unknown_namespaces: args.allow_unknown_namespaces,
            force: args.force,
            repair: args.repair,
            delta_apart: args.delta_apart,
            metrics: args.metrics,
            outside: Outside::default(),
        }
    }
}

impl Args {
    /// Chooses the form of the log, before anything is written to it.
    pub fn choose_log(&self) {
        if self.log == LogForm::Json {
            output::write_json();
        }
    }
}

/// Runs `admit publish`.
///
/// # Errors
/// The input or the key cannot be read, or the store does not answer or refuses.
pub fn run(args: Args) -> Result<ExitCode> {
    run::run(&args.into())
}
