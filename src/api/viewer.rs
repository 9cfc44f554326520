//! The address and the country of a viewer, as the platform or a CDN states them in headers. Only valid values reach a
//! body, each in one form. Neither decides about access; the address limits how many requests it may send.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Shown for an unknown address.
const UNKNOWN_ADDRESS: &str = "0.0.0.0";
/// Shown for an unknown country: ISO 3166-1 leaves this code to its users.
const UNKNOWN_COUNTRY: &str = "XX";

/// The address in an answer: [`address`], or `0.0.0.0` if it is unknown.
#[must_use]
pub fn shown_address(header: &str) -> Cow<'_, str> {
    address(header).unwrap_or(Cow::Borrowed(UNKNOWN_ADDRESS))
}

/// The country in an answer: [`country`], or `XX` if it is unknown.
#[must_use]
pub fn shown_country(header: &str) -> Cow<'_, str> {
    country(header).unwrap_or(Cow::Borrowed(UNKNOWN_COUNTRY))
}

/// The address in a header: IPv4 or IPv6, with or without brackets, port or zone. An IPv4 address within IPv6 is read as
/// that IPv4 address. `None` for anything else, and for a list of different addresses, which does not say which of them
/// is the viewer's.
#[must_use]
pub fn address(header: &str) -> Option<Cow<'_, str>> {
    // Most headers have the canonical form already, which is returned without a copy.
    if header.parse::<Ipv4Addr>().is_ok() || is_plain_ipv6(header) {
        return Some(Cow::Borrowed(header));
    }
    let mut addresses = header.split(',').map(one_address);
    let first = addresses.next()??;
    addresses.all(|address| address == Some(first)).then(|| Cow::Owned(first.to_string()))
}

/// The unit that limits by address count: an IPv4 address, or the /64 network of an IPv6 address, because a household or
/// a rented server has every address of its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl Network {
    /// The network of the address in a header, which is read as by [`address`].
    #[must_use]
    pub fn of(header: &str) -> Option<Self> {
        Some(match address(header)?.parse().ok()? {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        })
    }

    /// A number for the site: the /48 of an IPv6 network, because a provider gives a customer at most that, or the IPv4
    /// address itself.
    #[must_use]
    pub fn site(self) -> u64 {
        match self {
            Self::V4(_) => self.number(),
            Self::V6(network) => network >> 16 << 16,
        }
    }

    /// A number for the network. Callers use 0 for an unknown one.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::V4(address) => (1 << 63) | u64::from(address.to_bits()),
            // Global addresses begin with the bits 001, so that none of them equals a number of IPv4.
            Self::V6(network) => network,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(network) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64)),
        }
    }
}

fn one_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_ascii().trim_matches('"');
    let socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
    let address = socket.or_else(|_| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.split_once('%').map_or(bare, |(address, _zone)| address).parse::<IpAddr>()
    });
    address.ok().map(|address| address.to_canonical())
}

/// Whether an address is IPv6 in the form of RFC 5952. It may deny some that are, which are then written again.
fn is_plain_ipv6(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b':');
    text.bytes().all(is_plain)
        && !text.starts_with("0")
        && !text.contains(":0")
        && !text.starts_with("::ffff:")
        && text.parse::<Ipv6Addr>().is_ok()
}

/// The country in a header, ISO 3166-1 alpha-2 in capitals. `None` if it is unknown: Cloudflare writes `XX` for that,
/// and `T1` for viewers behind Tor.
#[must_use]
pub fn country(header: &str) -> Option<Cow<'_, str>> {
    let code = header.trim_ascii();
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_code || code.eq_ignore_ascii_case(UNKNOWN_COUNTRY) {
        return None;
    }
    let is_upper = code.bytes().all(|byte| byte.is_ascii_uppercase());
    Some(if is_upper { Cow::Borrowed(code) } else { Cow::Owned(code.to_ascii_uppercase()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_tell_networks_apart() {
        let shown = |header| Network::of(header).map(|network| network.to_string());
        for (header, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:51008", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::/64")),
            ("[2001:DB8:1:2::ffff]:80", Some("2001:db8:1:2::/64")),
            ("2001:db8:1:3::", Some("2001:db8:1:3::/64")),
            ("", None),
            ("unknown", None),
            ("203.0.113.7, 10.0.0.1", None),
        ] {
            assert_eq!(shown(header).as_deref(), expected, "{header}");
        }
        let number = |header| Network::of(header).unwrap().number();
        assert_eq!(number("2001:db8:1:2::1"), number("2001:db8:1:2:ffff::1"));
        assert_ne!(number("2001:db8:1:2::1"), number("2001:db8:1:3::1"));
        assert_ne!(number("203.0.113.7"), number("203.0.113.8"));
        let site = |header| Network::of(header).unwrap().site();
        assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:ffff::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:2:2::1"));
        assert_ne!(site("203.0.113.7"), site("203.0.113.8"));
        assert_ne!(number("0.0.0.0"), 0);
    }

    #[test]
    fn addresses_are_shown_in_one_form() {
        for (header, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51008", "203.0.113.7"),
            (" 203.0.113.7 ", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("2001:DB8::7", "2001:db8::7"),
            ("2001:0db8:0:0:0:0:0:7", "2001:db8::7"),
            ("2001:db8:0:0:0:0:0:7", "2001:db8::7"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("[::1]:80", "::1"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:cb00:7107", "203.0.113.7"),
            ("203.0.113.7, 203.0.113.7:80", "203.0.113.7"),
            ("", "0.0.0.0"),
            ("abc", "0.0.0.0"),
            ("abba", "0.0.0.0"),
            ("::::", "0.0.0.0"),
            ("1.2.3", "0.0.0.0"),
            ("1.2.3.4.5", "0.0.0.0"),
            ("203.0.113.256", "0.0.0.0"),
            ("203.000.113.007", "0.0.0.0"),
            ("unknown", "0.0.0.0"),
            ("_hidden", "0.0.0.0"),
            ("203.0.113.7, 10.0.0.1", "0.0.0.0"),
            ("203.0.113.7,", "0.0.0.0"),
            ("203.0.113.7:99999", "0.0.0.0"),
            ("\",\"id\":1,\"x\":\"", "0.0.0.0"),
        ] {
            assert_eq!(shown_address(header), expected, "{header}");
        }
    }

    #[test]
    fn countries_are_shown_in_one_form() {
        for (header, expected) in [
            ("GB", "GB"),
            ("gb", "GB"),
            (" Gb ", "GB"),
            ("UK", "UK"),
            ("XX", "XX"),
            ("xx", "XX"),
            ("T1", "XX"),
            ("A1", "XX"),
            ("", "XX"),
            ("G", "XX"),
            ("GBR", "XX"),
            ("en-GB", "XX"),
            ("GB, US", "XX"),
            ("G<", "XX"),
            ("Ä", "XX"),
        ] {
            assert_eq!(shown_country(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_shown_as_the_standard_writes_it(bits in any::<u128>(), few in 0_u128..1_000, v4 in any::<u32>()) {
            for bits in [bits, few, bits << 64, (bits >> 64) << 64 | few] {
                let address = Ipv6Addr::from_bits(bits);
                let expected = IpAddr::V6(address).to_canonical().to_string();
                let short = address.to_string();
                prop_assert_eq!(shown_address(&short), expected.as_str());
                let [a, b, c, d, e, f, g, h] = address.segments();
                let long = format!("{a:04X}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}:{g:x}:{h:04x}");
                prop_assert_eq!(shown_address(&long), expected.as_str());
            }
            let address = Ipv4Addr::from_bits(v4).to_string();
            prop_assert_eq!(shown_address(&address), address.as_str());
        }

        #[test]
        fn any_header_is_shown_without_breaking_a_body(header in any::<String>()) {
            let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:".contains(&byte));
            prop_assert!(is_plain(&shown_address(&header)) && is_plain(&shown_country(&header)));
        }
    }
}
