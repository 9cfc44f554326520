//! A model of issuers that rotate keys while strangers send made-up tokens: a token that a published key has
//! signed is never refused, and is verified after the next fetch.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use admit_token::{SentFetch, VerifiedToken, VerifyError};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{NOW, Signer, World, claims_with, code, issuer_with};

const KEYS: usize = 4;
const TOKENS: usize = 3;

/// An event, in any order.
#[derive(Clone, Debug)]
enum Event {
    /// A stranger sends a token that no key has signed, with any `kid`.
    Stranger {
        kid: usize,
        number: usize,
    },
    /// A viewer sends a token of a key, published or not.
    Viewer {
        key: usize,
        number: usize,
    },
    Publish {
        key: usize,
    },
    Withdraw {
        key: usize,
    },
    /// A request that was told to fetch sends its fetch.
    Send,
    /// The answer of a fetch arrives, written when the fetch was sent or just now.
    Arrive {
        which: prop::sample::Index,
        is_late: bool,
    },
    /// A fetch fails, or returns an HTML page.
    Fail {
        which: prop::sample::Index,
        is_html: bool,
    },
    /// Old keys are refreshed in the background.
    Refresh,
    Pass {
        secs: i64,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..KEYS + 2, 0..TOKENS).prop_map(|(kid, number)| Event::Stranger { kid, number }),
        6 => (0..KEYS, 0..TOKENS).prop_map(|(key, number)| Event::Viewer { key, number }),
        2 => (0..KEYS).prop_map(|key| Event::Publish { key }),
        1 => (0..KEYS).prop_map(|key| Event::Withdraw { key }),
        4 => Just(Event::Send),
        4 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, is_late)| Event::Arrive { which, is_late }),
        1 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, is_html)| Event::Fail { which, is_html }),
        1 => Just(Event::Refresh),
        3 => prop_oneof![0..3_i64, 8..12_i64, 25..40_i64, Just(700)].prop_map(|secs| Event::Pass { secs }),
    ];
    prop::collection::vec(event, 1..80)
}

/// The issuer's `kid`s: a different one for each key, or the same for all.
#[derive(Clone, Copy, Debug)]
enum Names {
    Distinct,
    Same,
    None,
}

impl Names {
    fn of(self, key: usize) -> Option<String> {
        match self {
            Self::Distinct => Some(key.to_string()),
            Self::Same => Some("key".to_owned()),
            Self::None => None,
        }
    }

    fn token(self, signer: usize, kid: usize, number: usize) -> String {
        let signer = Signer::EdDsa(u8::try_from(signer).unwrap());
        let claims = claims_with(&json!({"exp": NOW + 1_000_000, "n": number}));
        signer.token(self.of(kid).as_deref(), &claims)
    }
}

struct Model {
    world: World,
    names: Names,
    now: i64,
    /// When each key was published, as a count of events.
    published: BTreeMap<usize, usize>,
    /// When each token was first sent, as a count of events.
    first_sent: BTreeMap<String, usize>,
    /// Requests that were told to fetch.
    told: usize,
    /// Fetches that were sent, each with the document at that time.
    sent: Vec<(SentFetch, Vec<u8>)>,
    count: usize,
}

thread_local! {
    /// Signing is slower than verifying, and there are few tokens, so they are kept.
    static TOKENS_MADE: RefCell<BTreeMap<(u8, usize, usize, usize), String>> = RefCell::default();
}

impl Model {
    fn new(names: Names) -> Self {
        let url = "https://vendor.example/jwks";
        let mut model = Self {
            world: World::new(&[issuer_with(&json!({"keys": {"jwks_url": url}}))]),
            names,
            now: NOW,
            published: BTreeMap::from([(0, 0)]),
            first_sent: BTreeMap::new(),
            told: 0,
            sent: Vec::new(),
            count: 0,
        };
        model.count = 1;
        model
    }

    fn token(&self, signer: usize, kid: usize, number: usize) -> String {
        TOKENS_MADE.with_borrow_mut(|made| {
            let token = || self.names.token(signer, kid, number);
            made.entry((self.names as u8, signer, kid, number)).or_insert_with(token).clone()
        })
    }

    fn document(&self) -> Vec<u8> {
        let jwk =
            |key: &usize| Signer::EdDsa(u8::try_from(*key + 1).unwrap()).jwk(self.names.of(*key).as_deref());
        let keys: Vec<Value> = self.published.keys().map(jwk).collect();
        json!({"keys": keys}).to_string().into_bytes()
    }

    fn send(&mut self, token: &str) -> Result<Rc<VerifiedToken>, VerifyError> {
        self.first_sent.entry(token.to_owned()).or_insert(self.count);
        let answer = self.world.verify(token, self.now);
        if matches!(answer, Err(VerifyError::NeedKeys(_))) {
            self.told += 1;
        }
        answer
    }

    fn send_fetch(&mut self) {
        self.told -= 1;
        let fetch = self.world.verifier.fetch_sent(0).unwrap();
        self.sent.push((fetch, self.document()));
    }

    fn end_fetch(&mut self, position: usize, document: Option<&[u8]>) {
        let (fetch, _) = self.sent.remove(position);
        self.world.verifier.keys_fetched(0, fetch, document, self.now, &self.world.platform);
    }

    fn viewer(&mut self, key: usize, number: usize) -> Result<(), TestCaseError> {
        let token = self.token(key + 1, key, number);
        let answer = self.send(&token);
        let first_sent = self.first_sent[&token];
        if self.published.get(&key).is_some_and(|since| *since <= first_sent) {
            prop_assert!(!matches!(answer, Err(VerifyError::Rejected(_))), "{}", code(&answer));
        }
        Ok(())
    }

    fn happens(&mut self, event: Event) -> Result<(), TestCaseError> {
        self.count += 1;
        match event {
            Event::Stranger { kid, number } => {
                let answer = self.send(&self.token(100, kid, number));
                prop_assert!(answer.is_err());
            }
            Event::Viewer { key, number } => self.viewer(key, number)?,
            Event::Publish { key } => {
                self.published.entry(key).or_insert(self.count);
            }
            Event::Withdraw { key } => {
                self.published.remove(&key);
            }
            Event::Send if self.told > 0 => self.send_fetch(),
            Event::Arrive { which, is_late } if !self.sent.is_empty() => {
                let position = which.index(self.sent.len());
                let document = if is_late { self.document() } else { self.sent[position].1.clone() };
                self.end_fetch(position, Some(&document));
            }
            Event::Fail { which, is_html } if !self.sent.is_empty() => {
                let position = which.index(self.sent.len());
                self.end_fetch(position, is_html.then_some(b"<html>sign in</html>"));
            }
            Event::Refresh => {
                self.told += usize::from(self.world.verifier.keys_refresh_due(self.now).is_some());
            }
            Event::Pass { secs } => self.now += secs,
            Event::Send | Event::Arrive { .. } | Event::Fail { .. } => {}
        }
        Ok(())
    }

    /// After the cooldown one fetch verifies every token of a published key, however many strangers there
    /// are.
    fn settles(&mut self) -> Result<(), TestCaseError> {
        self.now += 30;
        for number in 0..TOKENS {
            let stranger = self.token(100, KEYS + 1, number);
            let _ = self.send(&stranger);
        }
        let mut wanting: Vec<usize> = self.published.keys().copied().collect();
        for key in &wanting {
            self.viewer(*key, 0)?;
        }
        while self.told > 0 {
            self.send_fetch();
        }
        while !self.sent.is_empty() {
            let document = self.sent[0].1.clone();
            self.end_fetch(0, Some(&document));
        }
        wanting.retain(|key| self.send(&self.token(key + 1, *key, 0)).is_err());
        prop_assert_eq!(wanting, Vec::<usize>::new());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_token_of_a_published_key_is_refused(
        names in prop::sample::select(vec![Names::Distinct, Names::Same, Names::None]),
        events in events(),
    ) {
        let mut model = Model::new(names);
        for event in events {
            model.happens(event)?;
        }
        model.settles()?;
    }
}
