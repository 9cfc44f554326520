//! The steps of a check, ready to be repeated.

use std::{hint::black_box, rc::Rc};

use admit::{
    api::{
        bodies::{self, Viewer},
        contract::Server,
        reply::Request,
    },
    app::{Answered, App, Handle},
    config::Config,
    entitlement::{Decision, Question, decide},
    ports::{Entropy, Platform as _},
    snapshot::{
        customer::CustomerRecord,
        delta::encode_delta,
        directory::Directory,
        index::{Index, Tree},
        item::ItemRecord,
        key::EntryKey,
        object::ObjectKind,
        version::{Found, ObjectCache, Version},
    },
    token::{BearerToken, NativeVerifier, TokenVerifier, VerifiedToken},
};
use admit_playback::{Grant, NativeSigner, Playback, Viewer as Player};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use anyhow::{Context, Result, bail};

use super::business::{self, Business, CUSTOMERS, NOW};

/// A step of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The path and the header's form.
    Parse,
    /// A token of an unknown issuer: its header, and its claims as far as `iss`.
    UnknownIssuer,
    /// A token that was not seen before: header, HS256, claims.
    NewToken,
    /// A token that was verified before.
    KnownToken,
    /// A customer in a loaded shard.
    Shard,
    /// A customer in the delta.
    Delta,
    /// The decision whether this viewer may play this item.
    Decide,
    /// The body of a granted check.
    Body,
    /// The whole check, as the Worker does it: from a request to a complete reply.
    Answer,
    /// A check of a known viewer, in numbers: what `known.mjs` asks for.
    Grant,
    /// A kept answer is judged, and given again.
    Again,
    /// A token for JW's player, HS256: own code, without the platform's signer.
    Sign,
}

impl Step {
    /// All of them, with their names and labels.
    pub const ALL: [(&'static str, &'static str, Self); 12] = [
        ("parse", "The path and the header's form", Self::Parse),
        ("unknown_issuer", "A token of an unknown issuer, refused", Self::UnknownIssuer),
        ("new_token", "A token that is new: HS256", Self::NewToken),
        ("known_token", "A token that was verified before", Self::KnownToken),
        ("shard", "A customer in a loaded shard", Self::Shard),
        ("delta", "A customer in the delta", Self::Delta),
        ("decide", "Records read, decided", Self::Decide),
        ("body", "The same, and the body written", Self::Body),
        ("answer", "All of it: from a request to a reply", Self::Answer),
        ("grant", "A check of a known viewer, in numbers", Self::Grant),
        ("again", "An answer that was given before, judged", Self::Again),
        ("sign", "A playback token signed: HS256", Self::Sign),
    ];
}

/// Everything that the steps work on.
pub struct Subject {
    app: App<MemoryPlatform>,
    tokens: TokenVerifier<NativeVerifier>,
    entropy: MemoryPlatform,
    authorizations: Vec<String>,
    stranger: String,
    plain: Version,
    with_delta: Version,
    objects: ObjectCache,
    keys: Vec<EntryKey>,
    principal: Rc<VerifiedToken>,
    path: String,
    playback: Playback,
}

impl Subject {
    /// Makes a business with a snapshot in memory, and tokens.
    pub fn new() -> Result<Self> {
        let business = Business::new()?;
        let lookup = |name: &str| business.variables.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        let platform = MemoryPlatform::at(u64::try_from(NOW)? * 1_000);
        platform.store().insert("head", business.head.as_bytes());
        let mut objects = ObjectCache::new(usize::MAX);
        let (mut index, mut directory) = (None, None);
        for (name, bytes) in &business.built.objects {
            platform.store().insert(&name.to_string(), bytes);
            match name.kind {
                ObjectKind::Index => index = Some(Index::decode(bytes.clone())?),
                ObjectKind::Directory => directory = Some(Directory::decode(bytes)?),
                _ => objects.insert(*name, Rc::from(bytes.as_slice())),
            }
        }
        let (index, directory) = (index.context("no index")?, directory.context("no directory")?);
        let head = business.built.head(1, NOW);
        let plain = Version { head, index: Rc::new(index), directory: Rc::new(directory), delta: None };
        let keys: Vec<_> = (0..CUSTOMERS).map(|n| EntryKey::customer("bench", &format!("c{n}"))).collect();
        let mut changed = Vec::new();
        for key in keys.iter().take(1_000) {
            let Found::Record(record) = plain.look_up(Tree::Customers, *key, &mut objects)? else {
                bail!("a customer is not in the snapshot");
            };
            changed.push((*key, record.bytes().to_vec()));
        }
        changed.sort_by_key(|(key, _)| *key);
        let delta = Some(Rc::from(encode_delta([&changed, &[], &[]])?));
        let with_delta = Version {
            head: plain.head.clone(),
            index: Rc::clone(&plain.index),
            directory: Rc::clone(&plain.directory),
            delta,
        };
        let config = Config::parse(&lookup)?;
        let mut tokens = TokenVerifier::new(config.issuers.clone(), &NativeVerifier)?;
        let entropy = MemoryPlatform::at(0);
        let authorizations = business.authorizations();
        let first = authorizations.first().context("no tokens")?;
        let principal = tokens.verify(first, NOW, &NativeVerifier, entropy.entropy())?;
        let app = App::new(platform, config)?;
        let path = format!("/items/{}/access", business::item_of(0));
        let subject = Self {
            app,
            tokens,
            entropy,
            stranger: business.stranger(),
            authorizations,
            plain,
            with_delta,
            objects,
            keys,
            principal,
            path,
            playback: Playback::parse(business::PLAYBACK, &lookup)?,
        };
        // The first request of an isolate loads.
        let reply = block_on(subject.app.handle(&subject.request()?, MemoryBody::default()));
        if reply.status != 200 {
            bail!("the check is answered with {}", reply.status);
        }
        Ok(subject)
    }

    fn known_viewer(&self) -> Result<Handle> {
        let authorization = self.authorizations.first().context("no tokens")?;
        // The second time gives the handle.
        (0..2).find_map(|_| self.app.introduce(authorization)).context("an unknown viewer")
    }

    fn request(&self) -> Result<Request<'_>> {
        Ok(Request {
            method: "GET",
            path: &self.path,
            authorization: self.authorizations.first().context("no tokens")?,
            ip_address: "203.0.113.7",
            country: "DE",
            ..Request::default()
        })
    }

    /// Repeats `step`. The result depends on all repetitions.
    pub fn repeat(&mut self, step: Step, times: usize) -> Result<usize> {
        let entropy: &dyn Entropy = self.entropy.entropy();
        let mut sum = 0;
        match step {
            Step::Parse => {
                let request = self.request()?;
                for _ in 0..times {
                    let found = Server::Edge.find(request.method, black_box(request.path));
                    sum += usize::from(found.is_ok());
                    sum += BearerToken::parse(black_box(request.authorization))?.as_str().len();
                }
            }
            Step::UnknownIssuer => {
                for _ in 0..times {
                    let refused =
                        self.tokens.verify(black_box(&self.stranger), NOW, &NativeVerifier, entropy);
                    sum += usize::from(refused.is_err());
                }
            }
            Step::NewToken => {
                // More than the cache holds, so that none of them is known when its turn comes again.
                for authorization in self.authorizations.iter().cycle().skip(1).take(times) {
                    sum +=
                        self.tokens.verify(black_box(authorization), NOW, &NativeVerifier, entropy)?.issuer
                            + 1;
                }
            }
            Step::KnownToken => {
                let known = self.authorizations.first().context("no tokens")?;
                for _ in 0..times {
                    sum += self.tokens.verify(black_box(known), NOW, &NativeVerifier, entropy)?.issuer + 1;
                }
            }
            Step::Shard => sum = look_up(&self.plain, &self.keys, times, &mut self.objects)?,
            Step::Delta => {
                sum = look_up(
                    &self.with_delta,
                    self.keys.get(..1_000).unwrap_or_default(),
                    times,
                    &mut self.objects,
                )?;
            }
            Step::Again => {
                let viewer = self.known_viewer()?;
                let granted = |_| self.app.grant(viewer, business::item_of(0), 0)?.validity;
                let validity = (0..2).find_map(granted).context("an answer that may not be given again")?;
                for _ in 0..times {
                    let number = self.app.repeat(black_box(&validity)).context("no longer the answer")?;
                    sum += usize::from(number > 0);
                }
            }
            Step::Grant => {
                let (viewer, item_id) = (self.known_viewer()?, business::item_of(0));
                for query_hash in (0..).take(times) {
                    let granted = self.app.grant(black_box(viewer), black_box(item_id), query_hash);
                    sum += usize::from(granted.context("not granted")?.number > 0);
                }
            }
            Step::Sign => {
                let item = business::playable();
                let entry = self.playback.entries(item.merchant_id, item.item_type).next();
                let entry = entry.context("no signer")?;
                let grant = Grant { now: NOW, ends_at: NOW + 86_400, is_unlimited: false };
                for _ in 0..times {
                    let signed = entry.sign(black_box(&item), grant, Player::default(), &NativeSigner)?;
                    sum += signed.token.len();
                }
            }
            Step::Decide | Step::Body => return self.decide(step, times),
            Step::Answer => {
                let request = self.request()?;
                for _ in 0..times {
                    match self.app.answer(black_box(&request)) {
                        Answered::Now(reply) => sum += reply.body.as_bytes().len(),
                        Answered::Later(pending) => bail!("not in memory: {pending:?}"),
                    }
                }
            }
        }
        Ok(sum)
    }

    fn decide(&mut self, step: Step, times: usize) -> Result<usize> {
        let key = self.keys.first().context("no customers")?;
        let item_key = self.plain.index.item_key(business::item_of(0));
        let mut find = |tree, key| match self.plain.look_up(tree, key, &mut self.objects)? {
            Found::Record(record) => Ok(record),
            Found::Absent | Found::Load(_) => bail!("a record is not there"),
        };
        let customer = find(Tree::Customers, *key)?;
        let item = find(Tree::Items, item_key)?;
        let mut sum = 0;
        for _ in 0..times {
            let customer = CustomerRecord::new(black_box(customer.bytes()))?;
            let item = ItemRecord::new(black_box(item.bytes()))?;
            let decided = decide(&Question {
                principal: &self.principal.principal,
                customer: Some(&customer),
                item: &item,
                directory: &self.plain.directory,
                now: NOW,
            })?;
            let Decision::Allow(grant) = decided.decision else { bail!("denied") };
            sum += 1;
            if step == Step::Body {
                let viewer =
                    Viewer { customer_id: 1, customer_uuid: "c", ip_address: "203.0.113.7", country: "DE" };
                sum += black_box(bodies::access(&grant, &viewer, &item)).map_or(0, |body| body.len());
            }
        }
        Ok(sum)
    }
}

fn look_up(version: &Version, keys: &[EntryKey], times: usize, objects: &mut ObjectCache) -> Result<usize> {
    let mut sum = 0;
    for key in keys.iter().cycle().take(times) {
        match version.look_up(Tree::Customers, black_box(*key), objects)? {
            Found::Record(record) => sum += record.bytes().len(),
            Found::Absent | Found::Load(_) => bail!("a record is not there"),
        }
    }
    Ok(sum)
}
