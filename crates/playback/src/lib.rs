//! Signs what CDNs, video platforms and DRM servers accept as proof of a granted check.
//!
//! The check by itself stops no player: the server with the media must refuse. It does so without a signature, and the
//! service signs only in the request that granted, from the same decision.
//!
//! ```text
//! PLAYBACK ─ config ─► Playback ─ entries(merchant, item type) ─► Entry ─ sign(item, grant, viewer) ─► Source
//!                                                                  │ rule: the item's media id or URL
//!                                                                  │ window: nbf, exp, never beyond the grant
//!                                                                  └ signers: the vendor's form
//! ```
//!
//! The crate does no I/O and reads no clock. HMACs are computed here; RSA and ECDSA signatures come from the
//! [platform](ports::PlatformSigner). `docs/playback.md` has the members of `PLAYBACK`, and the vendor's side of
//! each signer.
//!
//! ```
//! use admit_playback::{Grant, Item, NativeSigner, Playback, Viewer};
//!
//! let json = r#"[{
//!     "merchant": 2101, "item_type": "html_asset", "signer": "hmac_url", "secret": "MEDIA_KEY",
//!     "hosts": ["media.example.com"], "path_prefix": "/films/", "ttl_secs": 600
//! }]"#;
//! let secret = |name: &str| (name == "MEDIA_KEY").then(|| "0123456789abcdef0123456789abcdef".to_owned());
//! let playback = Playback::parse(json, &secret)?;
//!
//! let item = Item {
//!     merchant_id: 2101,
//!     item_type: "html_asset",
//!     content: r#"{"url": "https://media.example.com/films/7/main.m3u8"}"#,
//!     external_id: None,
//! };
//! // Taken from the decision of this request: the grant ends before now + ttl_secs.
//! let grant = Grant { now: 1_900_000_000, ends_at: 1_900_000_060, is_unlimited: false };
//! for entry in playback.entries(item.merchant_id, item.item_type) {
//!     let source = entry.sign(&item, grant, Viewer::default(), &NativeSigner)?;
//!     assert_eq!(source.expires_at, 1_900_000_060);
//!     assert!(source.url.unwrap().starts_with(
//!         "https://media.example.com/films/7/main.m3u8?folder=/films/7/&exp=1900000060&sig="
//!     ));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod der;
mod entry;
mod error;
#[cfg(feature = "native")]
mod generate;
mod key;
pub mod limits;
mod media;
mod members;
#[cfg(feature = "native")]
mod native;
pub mod ports;
mod rule;
mod signers;
mod url;
mod window;

pub use config::Playback;
pub use der::ecdsa_raw;
pub use entry::{Entry, Grant, SignerKind, Source};
pub use error::{PlaybackError, SignError};
#[cfg(feature = "native")]
pub use generate::{PublicKey, SecretForm};
pub use media::{Item, Viewer};
#[cfg(feature = "native")]
pub use native::NativeSigner;
pub use window::{Window, WindowRule};
