//! `admit playback-key`: makes the key of a playback signer, and prints the half that the vendor gets.

use std::{fs, path::PathBuf};

use admit_native::private_file;
use admit_playback::{PublicKey, SecretForm, SignerKind};
use anyhow::{Context, Result, anyhow, bail};

use crate::keygen::write_private;

/// Arguments of `admit playback-key`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  admit playback-key --signer cloudfront --out cloudfront.pem     # prints the public key for CloudFront
  npx wrangler secret put CLOUDFRONT_KEY < cloudfront.pem         # the Worker's half
  admit playback-key --signer cat --alg ES256 --key-id cdn-1 --out cat.pem
  admit playback-key --signer akamai --out akamai.key             # a secret that both sides hold
  admit playback-key --public cloudfront.pem                      # prints the public half again

docs/playback.md says for each signer where the two halves go.")]
pub struct Args {
    /// The signer in PLAYBACK that the key is for
    #[arg(long, value_enum, required_unless_present = "public", requires = "out")]
    signer: Option<SignerArg>,
    /// File for the secret, in the form that the Worker reads; only its owner may read it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Algorithm of a cat key
    #[arg(long, value_enum)]
    alg: Option<AlgArg>,
    /// The key's id, for the printed JSON Web Key
    #[arg(long)]
    key_id: Option<String>,
    /// Form of the printed public half: PEM for CloudFront, else a JSON Web Key, unless said otherwise
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Replace FILE if it exists: nothing can be signed with the old key afterwards
    #[arg(long)]
    force: bool,
    /// Print the public half of the private key in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signer", "out", "alg", "force"])]
    public: Option<PathBuf>,
}

/// The signers, by their names in `PLAYBACK`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SignerArg {
    #[value(name = "jw")]
    Jw,
    #[value(name = "cloudfront")]
    CloudFront,
    #[value(name = "cloudflare_stream")]
    CloudflareStream,
    #[value(name = "mux")]
    Mux,
    #[value(name = "cat")]
    Cat,
    #[value(name = "akamai")]
    Akamai,
    #[value(name = "hmac_url")]
    HmacUrl,
}

impl From<SignerArg> for SignerKind {
    fn from(arg: SignerArg) -> Self {
        match arg {
            SignerArg::Jw => Self::Jw,
            SignerArg::CloudFront => Self::CloudFront,
            SignerArg::CloudflareStream => Self::CloudflareStream,
            SignerArg::Mux => Self::Mux,
            SignerArg::Cat => Self::Cat,
            SignerArg::Akamai => Self::Akamai,
            SignerArg::HmacUrl => Self::HmacUrl,
        }
    }
}

/// Algorithms of `cat` keys.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AlgArg {
    /// HMAC-SHA256, the default: a secret that both sides hold
    #[value(name = "HS256")]
    Hs256,
    /// ECDSA with P-256: the CDN can verify and cannot sign
    #[value(name = "ES256")]
    Es256,
}

/// Forms of public keys.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// BEGIN PUBLIC KEY
    Pem,
    /// A JSON Web Key
    Jwk,
}

/// Runs `admit playback-key`.
///
/// # Errors
/// The file exists, cannot be written or read, or holds no private key.
pub fn run(args: &Args) -> Result<()> {
    if let Some(path) = &args.public {
        private_file::warn_if_shared(path);
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = PublicKey::of(&text).map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
        return print(&key, args.format.unwrap_or(Format::Pem), args.key_id.as_deref());
    }
    let (Some(signer), Some(out)) = (args.signer, &args.out) else {
        bail!("--signer and --out are needed to make a key");
    };
    if args.alg.is_some() && signer != SignerArg::Cat {
        bail!("--alg is for --signer cat: the other signers have one kind of key");
    }
    let form = match args.alg {
        Some(AlgArg::Es256) => SecretForm::P256,
        _ => SecretForm::of(signer.into()),
    };
    let secret = form.generate().map_err(|problem| anyhow!("no key: {problem}"))?;
    write_private(out, &secret, args.force)?;
    if let Some(hint) = vendor_makes(signer) {
        eprintln!("{hint}. This key is for tests: the vendor does not know it");
    }
    match form {
        SecretForm::Text | SecretForm::Hex => {
            eprintln!("{} holds a secret for both sides: the Worker and the vendor", out.display());
            Ok(())
        }
        SecretForm::Rsa | SecretForm::P256 => {
            let key = PublicKey::of(&secret).map_err(|problem| anyhow!("{problem}"))?;
            let usual = if signer == SignerArg::CloudFront { Format::Pem } else { Format::Jwk };
            print(&key, args.format.unwrap_or(usual), args.key_id.as_deref())
        }
    }
}

/// For vendors that make the keys themselves: where to get one.
const fn vendor_makes(signer: SignerArg) -> Option<&'static str> {
    match signer {
        SignerArg::Jw => Some("JW Player's dashboard shows the secret of a property under API Credentials"),
        SignerArg::CloudflareStream => {
            Some("Cloudflare makes Stream's keys: POST /accounts/{account_id}/stream/keys answers id and pem")
        }
        SignerArg::Mux => Some("Mux makes its keys: POST /system/v1/signing-keys answers id and private_key"),
        _ => None,
    }
}

fn print(key: &PublicKey, format: Format, key_id: Option<&str>) -> Result<()> {
    match format {
        Format::Pem => println!("{}", key.to_pem().map_err(|problem| anyhow!("{problem}"))?.trim_end()),
        Format::Jwk => println!("{}", key.to_jwk(key_id)),
    }
    Ok(())
}
