//! The URL of a database: where it is, how it is reached, and who connects.
//!
//! `sslmode` means more than in libpq, because the publisher signs the database's rows: a connection to
//! another machine has TLS, and its certificate and name are verified, unless `--insecure-http` was given.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use anyhow::{Result, bail};
use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{
    SCHEMES,
    password::{self, Wanted},
};
use crate::peer::address;

/// How long a connection to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how much silence the system asks whether the other side is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where libpq and Debian expect the socket.
#[cfg(unix)]
const SOCKET_DIR: &str = "/var/run/postgresql";

/// The name under which the database lists the session.
const APPLICATION: &str = "admit publish";

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// No TLS: a socket, or this machine.
    Plain,
    /// TLS if the server has it and its certificate is trusted. Only for this machine.
    Preferred(Option<PathBuf>),
    /// TLS, with verified certificate and name. The file holds the trusted authority, if one is given.
    Verified(Option<PathBuf>),
}

/// A database, with everything that a session needs but the password.
#[derive(Debug)]
pub struct Target {
    config: Config,
    security: Security,
    password_file: Option<PathBuf>,
    shown: String,
}

/// Parameters of the URL that are not the library's.
#[derive(Default)]
struct Own {
    ssl_mode: Option<String>,
    root_cert: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl Target {
    /// Reads a URL such as `postgres://admit_reader@db.example.com/shop?sslrootcert=ca.pem`.
    ///
    /// # Errors
    /// The URL is invalid, holds a password, or asks for a connection that others could read or change. No
    /// message holds the password.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or(url);
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may have both signs: what may be part of one is not shown.
        let user = rest.split_once('@').map_or("", |(user, _)| user);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.split('?').next().unwrap_or_default();
        let name = user.split(':').next().unwrap_or_default();
        let shown = if name.is_empty() { host.to_owned() } else { format!("{name}@{host}") };
        let shown = format!("postgres://{shown}");
        let has_password = || {
            anyhow::anyhow!(
                "{shown}: the URL holds a password, which every user of this machine can read on a command line: \
                 set PGPASSWORD instead, or name a password file in PGPASSFILE"
            )
        };
        if user.contains(':') {
            return Err(has_password());
        }
        let (own, others) = own_parameters(&shown, query)?;
        let mut config = match Config::from_str(&format!("postgres://{place}?{others}")) {
            Ok(config) => config,
            Err(error) => bail!("{shown}: {}", super::session::text(&error)),
        };
        if config.get_password().is_some() {
            return Err(has_password());
        }
        #[cfg(unix)]
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(SOCKET_DIR);
        }
        config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT));
        config.keepalives_idle(KEEPALIVE).tcp_user_timeout(KEEPALIVE);
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        let security = security(&config, own.ssl_mode.as_deref(), own.root_cert);
        let security = security.map_err(|problem| anyhow::anyhow!("{shown}: {problem}"))?;
        config.ssl_mode(match security {
            Security::Plain => SslMode::Disable,
            Security::Preferred(_) => SslMode::Prefer,
            Security::Verified(_) => SslMode::Require,
        });
        let password_file = password::file(own.password_file.as_deref());
        password::warn_if_shared(password_file.as_deref());
        Ok(Self { config, security, password_file, shown })
    }

    /// The URL for messages: without its parameters.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// How a connection is protected.
    pub const fn security(&self) -> &Security {
        &self.security
    }

    /// The settings of a session, with the password of this moment.
    ///
    /// # Errors
    /// The password file cannot be read.
    pub fn config(&self) -> Result<Config, String> {
        let mut config = self.config.clone();
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => "localhost".to_owned(),
        };
        let user = config.get_user().unwrap_or_default().to_owned();
        let wanted = Wanted {
            host: &host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config.get_dbname().unwrap_or(&user),
            user: &user,
        };
        if let Some(password) = password::find(self.password_file.as_deref(), &wanted)? {
            config.password(password);
        }
        Ok(config)
    }
}

/// Takes the parameters that the library does not know, or that it understands otherwise, out of the query.
fn own_parameters(shown: &str, query: &str) -> Result<(Own, String)> {
    let (mut own, mut others) = (Own::default(), Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Ok(value) = percent_decode_str(value).decode_utf8() else {
            bail!("{shown}: {name} is not UTF-8 text");
        };
        match name {
            "sslmode" => own.ssl_mode = Some(value.into_owned()),
            "sslrootcert" if value == "system" => own.root_cert = None,
            "sslrootcert" => own.root_cert = Some(Path::new(value.as_ref()).to_owned()),
            "passfile" => own.password_file = Some(Path::new(value.as_ref()).to_owned()),
            "sslcert" | "sslkey" | "sslpassword" => {
                bail!("{shown}: {name}: client certificates are not supported; the role needs a password");
            }
            _ => others.push(parameter),
        }
    }
    Ok((own, others.join("&")))
}

/// The protection that `ssl_mode` asks for.
fn security(config: &Config, ssl_mode: Option<&str>, root_cert: Option<PathBuf>) -> Result<Security, String> {
    let hosts = config.get_hosts();
    let sockets = hosts.iter().filter(|host| is_socket(host)).count();
    if sockets > 0 && sockets < hosts.len() {
        return Err("expected sockets or host names, not both".to_owned());
    }
    let is_socket = sockets > 0;
    let is_local = is_socket || is_this_machine(config);
    let needs_tls = !is_local && !address::is_insecure_allowed();
    match ssl_mode {
        Some("require" | "verify-ca" | "verify-full") if is_socket => {
            Err("a socket has no TLS: leave sslmode out".to_owned())
        }
        // Weaker meanings of the first two would let another machine answer in the database's place.
        Some("require" | "verify-ca" | "verify-full") => Ok(Security::Verified(root_cert)),
        Some(mode @ ("disable" | "allow" | "prefer")) if needs_tls => Err(format!(
            "sslmode={mode} lets anyone on the network change what is published: expected verify-full, which is the \
             default, with sslrootcert=FILE for a private authority; {} allows a connection without TLS",
            address::INSECURE_HTTP_OPTION
        )),
        _ if is_socket => Ok(Security::Plain),
        Some("disable") => Ok(Security::Plain),
        Some("allow" | "prefer") => Ok(Security::Preferred(root_cert)),
        // A name for an authority is a wish for TLS.
        None if is_local && root_cert.is_none() => Ok(Security::Plain),
        None => Ok(Security::Verified(root_cert)),
        Some(mode) => {
            Err(format!("sslmode={mode}: expected disable, prefer, require, verify-ca or verify-full"))
        }
    }
}

fn is_socket(host: &Host) -> bool {
    !matches!(host, Host::Tcp(_))
}

/// Whether every address is one of this machine.
fn is_this_machine(config: &Config) -> bool {
    let is_loopback = |host: &Host| match host {
        Host::Tcp(host) => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let addresses = config.get_hostaddrs();
    // An address replaces the look-up of its host's name.
    if addresses.is_empty() {
        config.get_hosts().iter().all(is_loopback)
    } else {
        addresses.iter().all(std::net::IpAddr::is_loopback)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn security_of(url: &str) -> Security {
        Target::parse(url).unwrap().security
    }

    #[test]
    fn other_machines_are_reached_by_tls_only() {
        let ca = || Some(PathBuf::from("/etc/ca.pem"));
        for (url, expected) in [
            ("postgres://db.example/shop", Security::Verified(None)),
            ("postgresql://r@192.0.2.1:5433/shop?sslmode=require", Security::Verified(None)),
            ("postgres://db.example/shop?sslrootcert=%2Fetc%2Fca.pem", Security::Verified(ca())),
            (
                "postgres://a.example,b.example/shop?sslmode=verify-full&sslrootcert=system",
                Security::Verified(None),
            ),
            ("postgres://localhost/shop", Security::Plain),
            ("postgres://127.0.0.1,[::1]/shop?sslmode=disable", Security::Plain),
            ("postgres://localhost/shop?sslmode=prefer", Security::Preferred(None)),
            (
                "postgres://localhost/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem",
                Security::Verified(ca()),
            ),
            ("postgres://localhost/shop?sslrootcert=/etc/ca.pem", Security::Verified(ca())),
            ("postgres://localhost/shop?hostaddr=192.0.2.1", Security::Verified(None)),
            ("postgres://%2Frun%2Fpostgresql/shop", Security::Plain),
            ("postgres://reader@/shop?host=/run/postgresql&sslmode=prefer", Security::Plain),
            ("postgres:///shop", Security::Plain),
        ] {
            assert_eq!(security_of(url), expected, "{url}");
        }
    }

    #[test]
    fn an_invalid_url_says_what_was_expected() {
        for (url, said) in [
            ("postgres://db.example/shop?sslmode=disable", "verify-full"),
            ("postgres://db.example/shop?sslmode=prefer", "--insecure-http"),
            ("postgres://localhost,db.example/shop?sslmode=disable", "--insecure-http"),
            ("postgres://db.example/shop?sslmode=full", "expected disable, prefer, require"),
            ("postgres://db.example/shop?sslcert=me.pem", "client certificates"),
            ("postgres://%2Frun/shop?sslmode=require", "socket"),
            ("postgres://localhost/shop?host=/run/postgresql", "not both"),
            ("postgres://db.example/shop?colour=red", "colour"),
            ("postgres://db.example:port/shop", "port"),
            ("postgres://db.example/shop?sslmode=%ff", "UTF-8"),
        ] {
            let error = format!("{:#}", Target::parse(url).unwrap_err());
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        for url in [
            "postgres://reader:hunter2@db.example/shop",
            "postgres://reader:hunter2@db.example/shop?colour=red",
            "postgres://:hunter2@localhost",
            "postgres://reader:p@hunter2@db.example/shop",
            "postgres://reader@db.example/shop?sslmode=require&password=hunter2",
            "postgres://reader@db.example/shop?pass%77ord=hunter2",
        ] {
            let error = format!("{:#}", Target::parse(url).unwrap_err());
            assert!(error.contains("PGPASSWORD") && !error.contains("hunter2"), "{error}");
        }
        let target =
            Target::parse("postgres://reader@db.example/shop?options=-csearch_path%3Dadmit").unwrap();
        assert_eq!(target.shown(), "postgres://reader@db.example/shop");
        assert_eq!(target.config.get_options(), Some("-csearch_path=admit"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,120}") {
            let _ = Target::parse(&format!("postgres://{text}"));
        }
    }
}
