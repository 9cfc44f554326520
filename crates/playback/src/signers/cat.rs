//! `cat`: Common Access Tokens (CTA-5007), a CWT (RFC 8392) in COSE_Mac0 with HS256 or COSE_Sign1 with ES256 (RFC 9052).
//!
//! Claims: `iss, exp, nbf, cti, catv, catu` (host and path), `catm`, and, if configured, `catnip` (address),
//! `catgeoiso3166` (country) and `catr` (renewal). They are written in ascending order of their labels, so that equal
//! questions have equal tokens.

use std::{convert::Infallible, net::IpAddr};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use minicbor::{Encoder, data::Tag, encode::Error};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{PlaybackError, SignError},
    key::{HmacKey, PrivateKey},
    members::Members,
    ports::{PlatformError, PlatformSigner},
    rule::Covers,
    signers::{Ask, Bindings, Signed, Signer, hmac_url::parameter},
    url::MediaUrl,
};

/// The key of a token, which decides its structure.
#[derive(Debug)]
pub(crate) enum Key {
    /// HMAC-SHA256: COSE_Mac0.
    Hs256(HmacKey),
    /// ECDSA with P-256: COSE_Sign1.
    Es256(PrivateKey),
}

/// Signs Common Access Tokens.
#[derive(Debug)]
pub(crate) struct Cat {
    key: Key,
    key_id: String,
    issuer: String,
    methods: Vec<String>,
    /// Name of the parameter that holds the token.
    parameter: String,
    covers: Covers,
    bind: Bindings,
    renewal: Option<Renewal>,
}

/// How a CDN gives out a later token by itself (`catr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Renewal {
    kind: u8,
    add_secs: u32,
    deadline_secs: Option<u32>,
}

/// Labels of claims, in ascending order (RFC 8392 section 4; CTA-5007).
mod label {
    pub const ISS: u32 = 1;
    pub const EXP: u32 = 4;
    pub const NBF: u32 = 5;
    pub const CTI: u32 = 7;
    pub const CATV: u32 = 310;
    pub const CATNIP: u32 = 311;
    pub const CATU: u32 = 312;
    pub const CATM: u32 = 313;
    pub const CATGEOISO3166: u32 = 316;
    pub const CATR: u32 = 323;
}

/// Parts of a URI, in `catu`.
const URI_HOST: u8 = 1;
const URI_PORT: u8 = 2;
const URI_PATH: u8 = 3;

/// Ways to compare a part.
const EXACT: u8 = 0;
const PREFIX: u8 = 1;

/// Members of `catr`.
const RENEWAL_KIND: u8 = 0;
const RENEWAL_ADD: u8 = 1;
const RENEWAL_DEADLINE: u8 = 2;

/// CBOR tags of a CWT (RFC 8392 section 6), COSE_Mac0 and COSE_Sign1 (RFC 9052 section 2).
const CWT: Tag = Tag::new(61);
const MAC0: Tag = Tag::new(17);
const SIGN1: Tag = Tag::new(18);

/// CBOR tags of addresses (RFC 9164).
const IPV4: Tag = Tag::new(52);
const IPV6: Tag = Tag::new(54);

/// COSE headers, and algorithms (RFC 9053).
const HEADER_ALG: u8 = 1;
const HEADER_KID: u8 = 4;
const HS256: i8 = 5;
const ES256: i8 = -7;

impl Cat {
    /// Reads `key_id`, `issuer`, `methods`, `param`, `bind` and `renewal`.
    pub fn read(members: &mut Members, covers: Covers, key: Key) -> Result<Self, PlaybackError> {
        let key_id = members.required("key_id")?;
        let issuer = members.required("issuer")?;
        let methods =
            members.texts("methods")?.unwrap_or_else(|| ["GET", "HEAD"].map(str::to_owned).to_vec());
        if !methods.iter().all(|method| method.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return Err(members.wrong("methods", "expected names of methods in capitals"));
        }
        let parameter = parameter(members, "cat")?;
        let bind = Bindings::read(members, &["country", "address"])?;
        let renewal = members.object("renewal")?.map(Renewal::read).transpose()?;
        Ok(Self { key, key_id, issuer, methods, parameter, covers, bind, renewal })
    }

    /// The claims, without `cti` if `id` is `None`.
    fn claims(&self, ask: &Ask<'_>, url: MediaUrl<'_>, id: Option<&[u8]>) -> Result<Vec<u8>, SignError> {
        let address = self.bind.address(&ask.viewer)?;
        let country = self.bind.country(&ask.viewer)?;
        // A renewed token ends later than this one, as often as the CDN likes, whether the next payment comes or not.
        let renewal = self.renewal.filter(|_| ask.is_unlimited);
        let optional = [id.is_some(), address.is_some(), country.is_some(), renewal.is_some()];
        let count = 6 + optional.into_iter().map(u64::from).sum::<u64>();
        let mut out = Encoder::new(Vec::with_capacity(256));
        let mut write = || -> Result<(), Error<Infallible>> {
            out.map(count)?;
            out.u32(label::ISS)?.str(&self.issuer)?;
            out.u32(label::EXP)?.i64(ask.window.expires_at())?;
            out.u32(label::NBF)?.i64(ask.window.not_before())?;
            if let Some(id) = id {
                out.u32(label::CTI)?.bytes(id)?;
            }
            out.u32(label::CATV)?.u8(1)?;
            if let Some(address) = address {
                out.u32(label::CATNIP)?.array(1)?;
                match address {
                    IpAddr::V4(address) => out.tag(IPV4)?.bytes(&address.octets())?,
                    IpAddr::V6(address) => out.tag(IPV6)?.bytes(&address.octets())?,
                };
            }
            out.u32(label::CATU)?;
            self.uri(&mut out, url)?;
            out.u32(label::CATM)?.array(count_of(&self.methods))?;
            for method in &self.methods {
                out.str(method)?;
            }
            if let Some(country) = country {
                out.u32(label::CATGEOISO3166)?.array(1)?.str(country)?;
            }
            if let Some(renewal) = renewal {
                out.u32(label::CATR)?;
                renewal.write(&mut out)?;
            }
            Ok(())
        };
        written(write())?;
        Ok(out.into_writer())
    }

    /// `catu`: host, port if the URL names one, and path.
    fn uri(&self, out: &mut Encoder<Vec<u8>>, url: MediaUrl<'_>) -> Result<(), Error<Infallible>> {
        let (host, port) = match url.authority().rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
            _ => (url.authority(), None),
        };
        out.map(2 + u64::from(port.is_some()))?;
        out.u8(URI_HOST)?.map(1)?.u8(EXACT)?.str(host)?;
        if let Some(port) = port {
            out.u8(URI_PORT)?.map(1)?.u8(EXACT)?.str(port)?;
        }
        let (how, path) = match self.covers {
            Covers::File => (EXACT, url.path()),
            Covers::Folder => (PREFIX, url.folder()),
        };
        out.u8(URI_PATH)?.map(1)?.u8(how)?.str(path)?;
        Ok(())
    }

    /// `[protected headers, unprotected headers, claims, tag or signature]` under its tags.
    fn message(&self, claims: &[u8], platform: &dyn PlatformSigner) -> Result<Vec<u8>, SignError> {
        let (algorithm, tag, context) = match &self.key {
            Key::Hs256(_) => (HS256, MAC0, "MAC0"),
            Key::Es256(_) => (ES256, SIGN1, "Signature1"),
        };
        let mut protected = Encoder::new(Vec::new());
        written(protected.map(1).and_then(|out| out.u8(HEADER_ALG)?.i8(algorithm).map(drop)))?;
        let protected = protected.into_writer();
        // The signed bytes: the context, the protected headers, no external data, and the claims.
        let mut signed = Encoder::new(Vec::with_capacity(claims.len() + 32));
        written((|| {
            signed.array(4)?.str(context)?.bytes(&protected)?.bytes(&[])?.bytes(claims)?;
            Ok(())
        })())?;
        let signature = match &self.key {
            Key::Hs256(key) => key.mac(signed.writer())?.to_vec(),
            Key::Es256(key) => key.sign(signed.writer(), platform)?,
        };
        let mut out = Encoder::new(Vec::with_capacity(claims.len() + 128));
        written((|| {
            out.tag(CWT)?.tag(tag)?.array(4)?.bytes(&protected)?;
            out.map(1)?.u8(HEADER_KID)?.bytes(self.key_id.as_bytes())?;
            out.bytes(claims)?.bytes(&signature)?;
            Ok(())
        })())?;
        Ok(out.into_writer())
    }
}

impl Signer for Cat {
    fn sign(&self, ask: &Ask<'_>, platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let url = ask.url()?;
        // The token's id is a hash of its claims and of the viewer: unique as the claims are, and without randomness.
        let mut id = Sha256::new();
        id.update(ask.viewer.subject);
        id.update([0]);
        id.update(self.claims(ask, url, None)?);
        let id = id.finalize();
        let (id, _) = id.split_at(16);
        let message = self.message(&self.claims(ask, url, Some(id))?, platform)?;
        let token = Base64UrlUnpadded::encode_string(&message);
        Ok(Signed { url: Some(url.with_query(&[&self.parameter, "=", &token].concat())), token })
    }

    fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        match &self.key {
            Key::Hs256(_) => Ok(()),
            Key::Es256(key) => key.check(platform),
        }
    }
}

impl Renewal {
    fn read(mut members: Members) -> Result<Self, PlaybackError> {
        let kinds = [("automatic", 0), ("cookie", 1), ("header", 2), ("redirect", 3)];
        let kind = members.choice("type", &kinds)?.ok_or_else(|| members.wrong("type", "missing"))?;
        let add_secs = members.number("expadd", 0..=86_400, 0)?;
        if add_secs == 0 {
            return Err(members.wrong("expadd", "expected the seconds that a renewal adds, up to 86400"));
        }
        let deadline_secs = Some(members.number("deadline", 0..=86_400, 0)?).filter(|secs| *secs > 0);
        members.finish()?;
        Ok(Self { kind, add_secs, deadline_secs })
    }

    fn write(self, out: &mut Encoder<Vec<u8>>) -> Result<(), Error<Infallible>> {
        out.map(2 + u64::from(self.deadline_secs.is_some()))?;
        out.u8(RENEWAL_KIND)?.u8(self.kind)?;
        out.u8(RENEWAL_ADD)?.u32(self.add_secs)?;
        if let Some(secs) = self.deadline_secs {
            out.u8(RENEWAL_DEADLINE)?.u32(secs)?;
        }
        Ok(())
    }
}

fn count_of<T>(list: &[T]) -> u64 {
    // A list of at most 16.
    list.len().try_into().unwrap_or(u64::MAX)
}

/// Writing to memory cannot fail.
fn written(result: Result<(), Error<Infallible>>) -> Result<(), SignError> {
    result.map_err(|_| SignError::Malformed("the token cannot be encoded"))
}
