//! `admit keygen`: makes a private key, or prints its public half or its secret text.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use admit_native::private_file;
use admit_publish::key::{Alg, public_members};
use anyhow::{Context, Result, anyhow, bail};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm,
    alg::{Ed25519, Es256, Hs256Key, ModulusBits, Rsa, SigningKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value, json};

/// Arguments of `admit keygen`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  admit keygen --alg EdDSA --kid publisher-1 --out publisher.jwk
  admit keygen --public publisher.jwk          # the JWKS for SNAPSHOT_KEYS or an issuer
  admit keygen --secret vendor.jwk             # the text for an HS256 secret binding")]
pub struct Args {
    /// Algorithm that the key will sign with
    #[arg(long, value_enum, required_unless_present_any = ["public", "secret"], requires_all = ["kid", "out"])]
    alg: Option<AlgArg>,
    /// The key's id (kid), which tokens carry so that a verifier finds the key
    #[arg(long)]
    kid: Option<String>,
    /// File for the private key; only its owner may read it
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace FILE if it exists: nothing can be signed with the old key afterwards
    #[arg(long)]
    force: bool,
    /// Print the public JWKS of the private key in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["alg", "kid", "out", "force", "secret"])]
    public: Option<PathBuf>,
    /// Print the text of the HS256 key in FILE, to be bound as a Worker secret
    #[arg(long, value_name = "FILE", conflicts_with_all = ["alg", "kid", "out", "force"])]
    secret: Option<PathBuf>,
}

/// The signature algorithms that keys are made for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum AlgArg {
    /// Ed25519: the publisher's choice, small and fast to check at the edge.
    #[value(name = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    #[value(name = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: what Cognito and most identity providers send.
    #[value(name = "RS256")]
    Rs256,
    /// HMAC with SHA-256: a secret that both sides hold.
    #[value(name = "HS256")]
    Hs256,
}

impl From<AlgArg> for Alg {
    fn from(arg: AlgArg) -> Self {
        match arg {
            AlgArg::EdDsa => Self::EdDsa,
            AlgArg::Es256 => Self::Es256,
            AlgArg::Rs256 => Self::Rs256,
            AlgArg::Hs256 => Self::Hs256,
        }
    }
}

/// Runs `admit keygen`.
///
/// # Errors
/// The file exists, cannot be written or read, or holds no suitable key.
pub fn run(args: &Args) -> Result<()> {
    if let Some(path) = &args.public {
        let keys = public_members(&read_members(path)?)?;
        println!("{}", json!({ "keys": [keys] }));
        return Ok(());
    }
    if let Some(path) = &args.secret {
        println!("{}", secret_text(&read_members(path)?)?);
        return Ok(());
    }
    let (Some(alg), Some(kid), Some(out)) = (args.alg.map(Alg::from), &args.kid, &args.out) else {
        bail!("--alg, --kid and --out are needed to make a key");
    };
    let mut jwk = generate(alg)?;
    jwk.insert("kid".into(), kid.as_str().into());
    jwk.insert("alg".into(), alg.name().into());
    jwk.insert("use".into(), "sig".into());
    write_private(out, &format!("{}\n", Value::Object(jwk)), args.force)
}

fn read_members(path: &Path) -> Result<Map<String, Value>> {
    private_file::warn_if_shared(path);
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a JSON Web Key", path.display()))
}

/// The text that an HS256 key is bound as: its bytes, as vendors hand it out.
fn secret_text(jwk: &Map<String, Value>) -> Result<String> {
    let encoded = jwk.get("k").and_then(Value::as_str);
    let encoded = encoded.ok_or_else(|| anyhow!("the key is not symmetric: use --public"))?;
    let bytes =
        Base64UrlUnpadded::decode_vec(encoded).map_err(|_| anyhow!("the member \"k\" is not base64url"))?;
    String::from_utf8(bytes).map_err(|_| anyhow!("the key is not valid UTF-8, so it cannot be bound as text"))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(bytes)
}

fn generate(alg: Alg) -> Result<Map<String, Value>> {
    type Ed25519Key = <Ed25519 as Algorithm>::SigningKey;
    type Es256Key = <Es256 as Algorithm>::SigningKey;
    let value = match alg {
        Alg::EdDsa => {
            let key = <Ed25519Key as SigningKey<Ed25519>>::from_slice(&random::<32>()?)?;
            serde_json::to_value(JsonWebKey::from(&key))?
        }
        Alg::Es256 => {
            // About once in 2^32 times a random 32-byte number is not a valid scalar: the command fails and
            // can be run again.
            let key = <Es256Key as SigningKey<Es256>>::from_slice(&random::<32>()?)?;
            serde_json::to_value(JsonWebKey::from(&key))?
        }
        Alg::Rs256 => {
            // 2,048 bits: allowed by NIST SP 800-131A, and what identity providers use.
            let (key, _) = Rsa::generate(&mut rand_core::OsRng, ModulusBits::TwoKibibytes)
                .map_err(|error| anyhow!("no RSA key: {error}"))?;
            serde_json::to_value(JsonWebKey::from(&key.into_inner()))?
        }
        Alg::Hs256 => {
            // The key is the text of 32 random bytes, so that it can be bound as a secret.
            let text = Base64UrlUnpadded::encode_string(&random::<32>()?);
            serde_json::to_value(JsonWebKey::from(&Hs256Key::new(text.as_bytes())))?
        }
    };
    match value {
        Value::Object(members) => Ok(members),
        _ => bail!("a JWK is always an object"),
    }
}

/// Writes a private key to a new file, which only its owner may read. `force` replaces an existing one.
pub(crate) fn write_private(path: &Path, text: &str, force: bool) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    if force {
        // Remove the file first: opening it would keep its owner and its mode.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
    }
    let mut file = match private_file::create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists; --force replaces it", path.display())
        }
        opened => opened.with_context(context)?,
    };
    file.write_all(text.as_bytes()).with_context(context)
}
