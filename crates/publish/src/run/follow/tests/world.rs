//! The world of a follower: a changing origin, and the service over a store in memory.

use std::{
    io::{self, Cursor, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use admit::{api, app::App, config::Config, ports::Platform as _};
use admit_snapshot::{head::Head, object::ObjectName};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use anyhow::Result;
use serde_json::json;
use ureq::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    super::Settings,
    life::{Origin, Step},
    odd::{Fault, Odd},
};
use crate::{
    bearer::Credentials,
    head::SignedHead,
    origin::NDJSON,
    peer::{
        Outside,
        time::Time,
        wire::{Request, Response, Wire},
    },
};

/// A pseudo-method for writes behind the service's back.
const TAMPER: &str = "tamper";

pub const EDGE: &str = "https://edge.example";
const ORIGIN: &str = "https://origin.example";
pub const START: i64 = 1_700_000_000;

/// The key pair of RFC 8037, appendix A.1: the publisher's, and its issuer's.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"publisher","alg":"EdDSA",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A clock that only sleeping moves.
#[derive(Default)]
struct Clock(Mutex<Duration>);

impl Time for Clock {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn unix_secs(&self) -> Result<i64> {
        Ok(START + self.elapsed().as_secs().cast_signed())
    }

    fn sleep(&self, pause: Duration) {
        *self.0.lock().unwrap() += pause;
    }
}

/// A request to the service, and the channel for its answer.
struct Asked {
    method: String,
    path: String,
    query: String,
    authorization: String,
    holder: String,
    body: Vec<u8>,
    now: i64,
    answer: mpsc::Sender<(u16, Vec<u8>)>,
}

struct Network {
    clock: Arc<Clock>,
    origin: Mutex<Origin>,
    edge: mpsc::Sender<Asked>,
    fault: Mutex<Option<Fault>>,
    /// Replaces the feed's answers.
    at_feed: Mutex<Option<Odd>>,
    /// An object that the store has lost.
    lost: Mutex<Option<ObjectName>>,
    requests: AtomicUsize,
    puts: Mutex<Vec<String>>,
}

/// The whole world.
pub struct World {
    network: Arc<Network>,
    dir: tempfile::TempDir,
}

impl World {
    pub fn new(steps: &[Step], fault: Option<Fault>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("publisher.jwk"), JWK).unwrap();
        let origin = Origin::new(steps);
        let network = Network {
            clock: Arc::default(),
            origin: Mutex::new(origin),
            edge: edge(),
            fault: Mutex::new(fault),
            at_feed: Mutex::default(),
            lost: Mutex::default(),
            requests: AtomicUsize::new(0),
            puts: Mutex::default(),
        };
        Self { network: Arc::new(network), dir }
    }

    /// The settings of a follower in this world.
    pub fn settings(&self) -> Settings {
        let key = self.key();
        let token = Credentials {
            key: Some(key.clone()),
            claims: Some(r#"{"iss":"https://publisher.example","aud":"admit"}"#.to_owned()),
            ttl_secs: 600,
            ..Credentials::default()
        };
        Settings {
            from: Some(format!("{ORIGIN}/export")),
            follow: true,
            every: 2,
            gc_every: 3_600,
            heartbeat: 60,
            to: Some(EDGE.to_owned()),
            key: Some(key),
            token,
            temp_dir: Some(self.dir.path().to_owned()),
            outside: Outside {
                wire: Arc::clone(&self.network) as Arc<dyn Wire>,
                time: Arc::clone(&self.network.clock) as _,
            },
            ..Settings::default()
        }
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("publisher.jwk")
    }

    fn origin(&self) -> MutexGuard<'_, Origin> {
        self.network.origin.lock().unwrap()
    }

    /// Whether the follower was told that there is nothing more.
    pub fn is_told(&self) -> bool {
        self.origin().is_told
    }

    /// Something else happens at the origin.
    pub fn commit(&self, fields: &str) {
        self.origin().commit(fields);
    }

    /// The origin's export, as it is now.
    pub fn export(&self) -> String {
        self.origin().export()
    }

    /// How often the export was read.
    pub fn exports(&self) -> u32 {
        self.origin().exports
    }

    pub fn seq(&self) -> u64 {
        self.origin().seq
    }

    pub fn requests(&self) -> usize {
        self.network.requests.load(Ordering::Relaxed)
    }

    /// Injects a fault, from this number of requests on.
    pub fn fault_in(&self, requests: usize, times: usize, odd: Odd) {
        let at = self.requests() + requests;
        *self.network.fault.lock().unwrap() = Some(Fault { at, times, odd });
    }

    /// Ends all faults.
    pub fn heal(&self) {
        *self.network.fault.lock().unwrap() = None;
    }

    /// Replaces the feed's answers from now on.
    pub fn replace_feed(&self, odd: Odd) {
        *self.network.at_feed.lock().unwrap() = Some(odd);
    }

    /// Makes the store lose an object, until it is asked whether it has all objects, or gets some.
    pub fn lose(&self, name: ObjectName) {
        *self.network.lost.lock().unwrap() = Some(name);
    }

    pub fn now(&self) -> i64 {
        self.network.clock.unix_secs().unwrap()
    }

    /// Changes the store without the service.
    pub fn tamper(&self, key: &str, value: &[u8]) {
        let (answer, answered) = mpsc::channel();
        let asked = Asked {
            method: TAMPER.to_owned(),
            path: key.to_owned(),
            query: String::new(),
            authorization: String::new(),
            holder: String::new(),
            body: value.to_vec(),
            now: self.now(),
            answer,
        };
        self.network.edge.send(asked).unwrap();
        answered.recv().unwrap();
    }

    /// How often a path was put.
    pub fn puts(&self, path: &str) -> usize {
        self.network.puts.lock().unwrap().iter().filter(|put| *put == path).count()
    }

    /// The published head.
    pub fn head(&self) -> Head {
        self.heal();
        let settings = self.settings();
        let store = crate::store::Store::open_in(EDGE, &settings.token, &settings.outside).unwrap();
        match SignedHead::read(&store.head().unwrap().unwrap(), Some(&self.key())).unwrap() {
            SignedHead::Verified(head) => head,
            other => panic!("{other:?}"),
        }
    }
}

impl Network {
    /// The fault of the next answer, if any.
    fn odd(&self, url: &str) -> Option<Odd> {
        if url.contains("after=")
            && let Some(odd) = &*self.at_feed.lock().unwrap()
        {
            return Some(odd.clone());
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.fault.lock().unwrap();
        let fault = fault.as_ref()?;
        (fault.at..fault.at + fault.times).contains(&number).then(|| fault.odd.clone())
    }

    fn answer(&self, request: &Request<'_>) -> (u16, Vec<u8>) {
        if let Some(path) = request.url.strip_prefix(ORIGIN) {
            let (status, body, secs) = self.origin.lock().unwrap().answer(path);
            self.clock.sleep(Duration::from_secs(secs));
            return (status, body.into_bytes());
        }
        let target = request.url.strip_prefix(EDGE).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let value = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let mut lost = self.lost.lock().unwrap();
        let path = match *lost {
            Some(ObjectName { kind, digest }) if path == format!("/snapshot/{}/{digest}", kind.prefix()) => {
                format!("/snapshot/{}/{}", kind.prefix(), "0".repeat(64))
            }
            _ => path.to_owned(),
        };
        if request.method == "POST" {
            *lost = None;
        }
        drop(lost);
        if request.method == "PUT" {
            self.puts.lock().unwrap().push(path.clone());
        }
        let (answer, answered) = mpsc::channel();
        let asked = Asked {
            method: request.method.to_string(),
            path,
            query: query.to_owned(),
            authorization: value("authorization"),
            holder: value("admit-holder"),
            body: request.body.unwrap_or_default().to_vec(),
            now: self.clock.unix_secs().unwrap(),
            answer,
        };
        self.edge.send(asked).unwrap();
        answered.recv().unwrap()
    }
}

/// Gives its bytes, and then fails.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            read => Ok(read),
        }
    }
}

fn response(status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) -> Response {
    let mut all = HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from(body.len()))]);
    all.extend(
        headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        }),
    );
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: all,
        body: Box::new(Cursor::new(body)),
    }
}

impl Wire for Network {
    fn send(&self, request: &Request<'_>) -> Result<Response, ureq::Error> {
        let odd = self.odd(request.url);
        match odd {
            Some(Odd::Instead(status, headers, body)) => {
                Ok(response(status, headers, body.as_bytes().to_vec()))
            }
            Some(Odd::Nothing(reason)) => Err(match reason {
                "dns" => ureq::Error::HostNotFound,
                "tls" => ureq::Error::Tls("invalid peer certificate"),
                "timeout" => ureq::Error::Timeout(ureq::Timeout::Global),
                _ => io::Error::from(io::ErrorKind::ConnectionReset).into(),
            }),
            odd => {
                if let Some(Odd::Late(secs)) = odd {
                    self.clock.sleep(Duration::from_secs(secs));
                }
                let (status, mut body) = self.answer(request);
                match odd {
                    Some(Odd::Lost) => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
                    Some(Odd::BrokenOff) => {
                        let whole = response(status, &[], body.clone());
                        body.truncate(body.len() / 2);
                        Ok(Response { body: Box::new(Broken(Cursor::new(body))), ..whole })
                    }
                    _ if request.url.starts_with(ORIGIN) => {
                        Ok(response(status, &[("content-type", NDJSON)], body))
                    }
                    _ => Ok(response(status, &[], body)),
                }
            }
        }
    }
}

/// Runs the service on a thread of its own, because an App is single-threaded.
fn edge() -> mpsc::Sender<Asked> {
    let (sender, asked) = mpsc::channel::<Asked>();
    thread::spawn(move || {
        let mut public: serde_json::Value = serde_json::from_str(JWK).unwrap();
        public.as_object_mut().unwrap().remove("d");
        let keys = json!({ "keys": [public] });
        let issuers = json!([{
            "issuer": "https://publisher.example", "namespace": "publisher", "audience": {"any_of": ["admit"]},
            "keys": {"jwks": keys}, "may_publish": true
        }, {
            "issuer": "https://id.example", "namespace": "vendor", "audience": {"any_of": ["admit"]},
            "keys": {"jwks": keys}
        }]);
        let lookup = |name: &str| match name {
            "SNAPSHOT_KEYS" => Some(keys.to_string()),
            "ISSUERS" => Some(issuers.to_string()),
            _ => None,
        };
        let platform = MemoryPlatform::at(0);
        let app = App::new(platform, Config::parse(&lookup).unwrap()).unwrap();
        while let Ok(asked) = asked.recv() {
            app.platform().clock().set_ms(asked.now.cast_unsigned() * 1_000);
            if asked.method == TAMPER {
                app.platform().store().insert(&asked.path, &asked.body);
                let _ = asked.answer.send((200, Vec::new()));
                continue;
            }
            let request = api::reply::Request {
                method: &asked.method,
                path: &asked.path,
                query: &asked.query,
                authorization: &asked.authorization,
                holder: &asked.holder,
                ..api::reply::Request::default()
            };
            let reply = block_on(app.handle(&request, MemoryBody::from(asked.body)));
            // The asker may have gone.
            let _ = asked.answer.send((reply.status, reply.body.as_bytes().to_vec()));
        }
    });
    sender
}
