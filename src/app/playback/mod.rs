//! The owner of playback signatures: turns a granted check into an answer that a CDN, a video platform or a DRM server
//! accepts (docs/adr/0041).
//!
//! It is the last step of a request. A decision that allows, from the snapshot or from the upstream, gives a
//! [`Playable`] in its reply; a denial gives none. So nothing is signed before the decision is final, and nothing without
//! one.
//!
//! ```text
//! read, or upstream ──► Body::Unsigned ──► Signing::answer ──► entries of PLAYBACK ──► Body::Json
//! ```

mod memory;

use std::{borrow::Cow, cell::RefCell, rc::Rc};

use self::memory::{Remembering, SignatureMemory};
use super::{
    Event, ServiceReason,
    problems::{Problem, Problems},
    seconds, unavailable,
};
use crate::{
    api::{
        error::ApiError,
        playback::{self as wire, Playable, PlaybackForm, PlaybackSource},
        reply::{Body, Reply, Request},
        viewer,
    },
    entitlement::Reason,
    ports::Platform,
    snapshot::time::UnixSecs,
};
use admit_playback::{
    Entry, Grant, Item, Playback, SignError, SignerKind, Source, Viewer, ports::PlatformSigner,
};

/// The configured signers, and what an isolate remembers of them.
pub(super) struct Signing {
    playback: Playback,
    memory: Rc<SignatureMemory>,
    /// Problems of late, for the log.
    problems: RefCell<Problems>,
}

/// Why nothing is signed for a grant.
enum Unsigned {
    /// `PLAYBACK` has no entry that serves the question.
    NoSigner,
    /// The entries cannot sign it; why the first of them cannot.
    Refused(SignError),
}

impl Signing {
    pub fn new(playback: Playback) -> Self {
        Self { playback, memory: Rc::default(), problems: RefCell::default() }
    }

    /// Signs what a granted reply asks for. Any other reply comes back as it is.
    pub fn answer<P: Platform>(&self, mut reply: Reply, request: &Request<'_>, platform: &P) -> Reply {
        let Body::Unsigned(playable) = reply.body else { return reply };
        reply.body = Body::Empty;
        let now = seconds(platform.now_ms());
        let address = viewer::address(request.ip_address);
        let country = viewer::country(request.country);
        let viewer =
            Viewer { subject: &playable.subject, country: country.as_deref(), address: address.as_deref() };
        let ask = Ask { playable: &playable, now, viewer, platform: platform.signer(), memory: &self.memory };
        match self.sources(&ask, request.query) {
            Ok(sources) => {
                reply.body = Body::Json(body(&playable, sources));
                reply
            }
            Err(unsigned) => self.refusal(&playable, unsigned, platform),
        }
    }

    /// The sources that answer the question: never none.
    fn sources(&self, ask: &Ask<'_>, query: &str) -> Result<Vec<Source>, Unsigned> {
        let Playable { form, merchant_id, item_type, .. } = ask.playable;
        let entries = self.playback.entries(*merchant_id, item_type);
        match form {
            PlaybackForm::Sources => each(entries, |entry| ask.sign(entry)),
            PlaybackForm::MediaToken => {
                each(entries.filter(|entry| entry.kind() == SignerKind::Jw), |entry| ask.sign(entry))
            }
            PlaybackForm::SignedUrl => {
                let url = wire::asked_url(query).unwrap_or(Cow::Borrowed(""));
                each(entries.filter(|entry| signs_urls(entry.kind())), |entry| ask.sign_url(entry, &url))
            }
        }
    }

    fn refusal<P: Platform>(&self, playable: &Playable, unsigned: Unsigned, platform: &P) -> Reply {
        let problem = match &unsigned {
            Unsigned::NoSigner => "PLAYBACK has no entry for it".to_owned(),
            Unsigned::Refused(error) => error.to_string(),
        };
        let is_asked = playable.form == PlaybackForm::SignedUrl;
        let (error, reason) = match unsigned {
            // The grant ended while the request waited.
            Unsigned::Refused(SignError::Ended) => {
                return Reply::error(ApiError::NoAccess, Reason::Expired.code());
            }
            // The client's own URL is wrong, which is not the operator's problem.
            Unsigned::Refused(SignError::Foreign(_) | SignError::Malformed(_)) if is_asked => {
                let refusal = Reply::error(ApiError::INVALID_MEDIA_URL, ServiceReason::ForeignMedia.code());
                return refusal.with_detail(problem);
            }
            Unsigned::NoSigner => (ApiError::NothingToPlay, ServiceReason::NoSigner),
            Unsigned::Refused(SignError::Platform { .. }) => (unavailable(), ServiceReason::SigningFailed),
            Unsigned::Refused(_) => (ApiError::NothingToPlay, ServiceReason::NotSigned),
        };
        self.log_problem(playable, &problem, platform);
        Reply::error(error, reason.code()).with_detail(problem)
    }

    /// Logs why nothing is signed, the first time at once and repetitions as a count.
    fn log_problem<P: Platform>(&self, playable: &Playable, problem: &str, platform: &P) {
        let Playable { merchant_id, item_type, .. } = playable;
        let kind = [&merchant_id.to_string(), " ", item_type, " ", problem].concat();
        let known = Problem::new(&kind, String::new());
        if let Some(times) = self.problems.borrow_mut().count(&known, platform.now_ms()) {
            let event = Event::Playback { merchant_id: *merchant_id, item_type, problem, times };
            event.log(platform.log());
        }
    }
}

/// A grant that is being signed.
struct Ask<'a> {
    playable: &'a Playable,
    now: UnixSecs,
    viewer: Viewer<'a>,
    platform: &'a dyn PlatformSigner,
    memory: &'a Rc<SignatureMemory>,
}

impl Ask<'_> {
    fn grant(&self) -> Grant {
        let Playable { ends_at, is_unlimited, .. } = *self.playable;
        Grant { now: self.now, ends_at, is_unlimited }
    }

    fn item(&self) -> Item<'_> {
        let Playable { merchant_id, item_type, content, external_id, .. } = self.playable;
        Item { merchant_id: *merchant_id, item_type, content, external_id: external_id.as_deref() }
    }

    fn signer(&self) -> Remembering<'_> {
        Remembering { platform: self.platform, memory: self.memory }
    }

    fn sign(&self, entry: &Entry) -> Result<Source, SignError> {
        entry.sign(&self.item(), self.grant(), self.viewer, &self.signer())
    }

    fn sign_url(&self, entry: &Entry, url: &str) -> Result<Source, SignError> {
        entry.sign_url(&self.item(), url, self.grant(), self.viewer, &self.signer())
    }
}

/// What `sign` makes of the entries that can sign. If none of them can, the first one's reason.
fn each<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    sign: impl Fn(&'a Entry) -> Result<Source, SignError>,
) -> Result<Vec<Source>, Unsigned> {
    let (mut sources, mut refused) = (Vec::new(), None);
    for entry in entries {
        match sign(entry) {
            Ok(source) => sources.push(source),
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        _ if !sources.is_empty() => Ok(sources),
        Some(error) => Err(Unsigned::Refused(error)),
        None => Err(Unsigned::NoSigner),
    }
}

/// Whether a signer signs URLs, not ids of media.
const fn signs_urls(kind: SignerKind) -> bool {
    match kind {
        SignerKind::CloudFront | SignerKind::Cat | SignerKind::Akamai | SignerKind::HmacUrl => true,
        SignerKind::Jw | SignerKind::CloudflareStream | SignerKind::Mux => false,
    }
}

fn body(playable: &Playable, sources: Vec<Source>) -> String {
    let sources: Vec<_> = sources
        .into_iter()
        .map(|Source { kind, url, token, expires_at, .. }| PlaybackSource {
            kind: kind.name(),
            url,
            token,
            expires_at,
        })
        .collect();
    let first = sources.first();
    match playable.form {
        PlaybackForm::Sources => wire::sources(playable.ends_at, &sources),
        PlaybackForm::MediaToken => wire::media_token(first.map_or("", |source| &source.token)),
        PlaybackForm::SignedUrl => {
            wire::signed_url(first.and_then(|source| source.url.as_deref()).unwrap_or_default())
        }
    }
}
