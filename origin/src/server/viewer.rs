//! Identifies the sender of a request: the edge or another peer, and the viewer behind it.

use std::net::{IpAddr, SocketAddr};

use admit::api::viewer::address;
use axum::http::HeaderMap;

use super::text;
use crate::{guessing::Source, settings::Settings};

/// Carries the edge's `ORIGIN_SECRET`, which proves that the edge sends the request.
const EDGE_KEY: &str = "admit-edge-key";
/// Prefix of the headers in which the edge describes the viewer.
const VIEWER: &str = "admit-viewer-";

/// The headers that are trusted to say where a viewer is.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// `TRUSTED_ADDRESS_HEADER`: names the header with the viewer's address.
    pub address_header: Option<String>,
    /// `TRUSTED_COUNTRY_HEADER`: names the header with the viewer's country.
    pub country_header: Option<String>,
}

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Whether the sender proved to be the edge, by its secret.
    pub is_edge: bool,
    /// The viewer's address, as unchecked text.
    pub address: String,
    /// The viewer's country, as unchecked text.
    pub country: String,
    /// Where sign-in attempts of this sender are counted.
    pub from: Source,
}

impl Viewer {
    /// Reads the headers of a request from `peer`. With the edge's secret, `Admit-Viewer-Address` and
    /// `Admit-Viewer-Country` are trusted. If no secret is configured, a header that is configured as trusted
    /// is.
    #[must_use]
    pub fn of(headers: &HeaderMap, peer: Option<SocketAddr>, trusted: &Trusted, settings: &Settings) -> Self {
        let has_secret = !settings.edge_secrets.is_empty();
        let is_edge = has_secret && settings.is_edge_key(&text(headers, EDGE_KEY));
        let told = |of_edge: &str, trusted: &Option<String>| {
            let by_edge = is_edge.then(|| text(headers, of_edge)).filter(|value| !value.is_empty());
            // The edge's own headers need its secret, whatever is configured as trusted.
            let name = trusted.as_deref().filter(|name| !has_secret || !name.starts_with(VIEWER));
            by_edge.or_else(|| Some(text(headers, name?)).filter(|value| !value.is_empty()))
        };
        let told_address = told("admit-viewer-address", &trusted.address_header);
        let country = told("admit-viewer-country", &trusted.country_header).unwrap_or_default();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
        let known = told_address.as_deref().and_then(address).and_then(|address| address.parse().ok());
        let names_viewers = trusted.address_header.as_deref().is_some_and(|name| !name.starts_with(VIEWER));
        let from = match known {
            Some(address) => Source::Address(address),
            // If a secret is configured, a sender without it is not the edge, so the peer is the viewer.
            // Three kinds of peers may stand for many viewers: the edge when it does not know the viewer, any
            // peer if no secret is configured, and a proxy that does not name the viewer.
            None if has_secret && !is_edge && (names_viewers || !is_internal(peer)) => Source::Address(peer),
            None => Source::Shared(peer),
        };
        Self { is_edge, address: told_address.unwrap_or_else(|| peer.to_string()), country, from }
    }
}

/// Whether an address belongs to this machine or a private network: it is then more likely a proxy's than a
/// viewer's (RFC 1918, RFC 3927, RFC 4193, RFC 4291 §2.5.6, RFC 6598).
const fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const SECRET: &str = "edge-secret-edge-secret-edge-secret";

    fn viewer(
        secrets: &[&str],
        trusted: Option<&str>,
        sent: &[(&'static str, &str)],
    ) -> (bool, String, Source) {
        viewer_by(SocketAddr::from(([198, 51, 100, 1], 4_000)), secrets, trusted, sent)
    }

    fn viewer_by(
        peer: SocketAddr,
        secrets: &[&str],
        trusted: Option<&str>,
        sent: &[(&'static str, &str)],
    ) -> (bool, String, Source) {
        let mut settings = Settings::new("".into(), String::new());
        settings.edge_secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let trusted = Trusted { address_header: trusted.map(str::to_owned), country_header: None };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let Viewer { is_edge, address, from, .. } = Viewer::of(&headers, Some(peer), &trusted, &settings);
        (is_edge, address, from)
    }

    #[test]
    fn a_proxy_that_does_not_name_its_viewers_is_not_one_viewer() {
        for (peer, is_shared) in [
            ("127.0.0.1", true),
            ("127.9.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("192.168.1.1", true),
            ("169.254.7.7", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("0.0.0.0", true),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("100.128.0.1", false),
            ("172.32.0.1", false),
            ("198.51.100.1", false),
            ("2001:db8::1", false),
        ] {
            let ip: IpAddr = peer.parse().unwrap();
            let by = |trusted| viewer_by(SocketAddr::from((ip, 4_000)), &[SECRET], trusted, &[]).2;
            let ip = ip.to_canonical();
            let expected = if is_shared { Source::Shared(ip) } else { Source::Address(ip) };
            assert_eq!(by(None), expected, "{peer}");
            // The edge's headers need its secret, so this does not configure a proxy.
            assert_eq!(by(Some("admit-viewer-address")), expected, "{peer}");
            // A configured proxy names its viewers, so this peer without a name is a viewer on this network.
            assert_eq!(by(Some("x-real-ip")), Source::Address(ip), "{peer}");
        }
    }

    #[test]
    fn the_viewers_address_is_believed_only_with_the_secret() {
        let peer = IpAddr::from([198, 51, 100, 1]);
        let told = IpAddr::from([203, 0, 113, 9]);
        let says = ("admit-viewer-address", "203.0.113.9");
        let (shows, lies) =
            (("admit-edge-key", SECRET), ("admit-edge-key", "another-secret-another-secret-an"));
        let old = "old-secret-old-secret-old-secret-old";
        let of_edge = Some("admit-viewer-address");
        for (label, secrets, trusted, sent, is_edge, from) in [
            ("with the secret", &[SECRET][..], None, &[shows, says][..], true, Source::Address(told)),
            ("while one follows another", &[old, SECRET], None, &[shows, says], true, Source::Address(told)),
            ("without the secret", &[SECRET], None, &[says], false, Source::Address(peer)),
            ("with a wrong secret", &[SECRET], None, &[lies, says], false, Source::Address(peer)),
            ("with two", &[SECRET], None, &[shows, lies, says], false, Source::Address(peer)),
            ("trusted, but not shown", &[SECRET], of_edge, &[says], false, Source::Address(peer)),
            ("trusted, and no secret is set", &[], of_edge, &[says], false, Source::Address(told)),
            ("not trusted, and no secret is set", &[], None, &[shows, says], false, Source::Shared(peer)),
            ("the edge does not know it", &[SECRET], None, &[shows], true, Source::Shared(peer)),
            (
                "a proxy's header",
                &[SECRET],
                Some("x-real-ip"),
                &[("x-real-ip", "203.0.113.9")],
                false,
                Source::Address(told),
            ),
            (
                "not an address",
                &[],
                Some("x-real-ip"),
                &[("x-real-ip", "unknown")],
                false,
                Source::Shared(peer),
            ),
        ] {
            let (found_edge, address, found_from) = viewer(secrets, trusted, sent);
            assert_eq!((found_edge, found_from), (is_edge, from), "{label}");
            if found_from == Source::Address(told) {
                assert_eq!(address, told.to_string(), "{label}");
            }
        }
    }
}
