//! The service in this process, as a subject.

use admit::{
    api::{
        query,
        reply::Request,
        write::{INSPECTED_HEADERS, PASSED_HEADERS},
    },
    app::App,
    config::{Config, ConfigError},
};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};

use crate::{
    contract,
    subject::Subject,
    wire::{Answer, Payload, Wire},
};

/// [`App`] on a platform in memory, with what the Worker's glue and its runtime do around it.
pub struct InProcess {
    pub app: App<MemoryPlatform>,
}

/// The time of the tests, in 2027.
pub const START_SECS: u64 = 1_800_000_000;

impl InProcess {
    pub fn new(variables: &[(String, String)]) -> Result<Self, ConfigError> {
        Self::on(MemoryPlatform::at(START_SECS * 1_000), variables)
    }

    pub fn on(platform: MemoryPlatform, variables: &[(String, String)]) -> Result<Self, ConfigError> {
        let lookup =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let app = App::new(platform, Config::parse(&lookup)?)?;
        Ok(Self { app })
    }
}

impl Subject for InProcess {
    fn send(&self, wire: &Wire) -> Answer {
        let config = self.app.config();
        // The runtime joins a header that is sent several times.
        let header = |wanted: &str| {
            let values = wire.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let values: Vec<_> =
                values.map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned()).collect();
            values.join(", ")
        };
        let target = wire.seen();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let country = match &config.country_header {
            Some(name) => header(name),
            None => wire.country.clone().unwrap_or_default(),
        };
        let address = header(config.address_header.as_deref().unwrap_or("cf-connecting-ip"));
        let (authorization, origin) = (header("authorization"), header("origin"));
        let holder = header("admit-holder");
        let has_origin = config.upstream.is_some();
        let names = INSPECTED_HEADERS.into_iter().chain(PASSED_HEADERS);
        let passed: Vec<_> = names.map(|name| (name, header(name))).collect();
        let request = Request {
            method: &wire.method,
            path,
            query,
            base_url: "https://edge.example",
            authorization: &authorization,
            page_origin: &origin,
            ip_address: &address,
            country: &country,
            holder: &holder,
            min_seq: if has_origin { query::seq(&header("entitlement-min-seq")).unwrap_or(0) } else { 0 },
            merchant: None,
            passed: &passed,
        };
        let body = match &wire.body {
            Payload::None => MemoryBody::default(),
            Payload::Whole(bytes) => bytes.clone().into(),
            Payload::Chunked(bytes) => {
                MemoryBody { bytes: bytes.clone(), is_chunked: true, ..MemoryBody::default() }
            }
            Payload::Interrupted(bytes) => {
                MemoryBody { bytes: bytes.clone(), is_interrupted: true, ..MemoryBody::default() }
            }
        };
        let reply = block_on(self.app.handle(&request, body));
        if let Some(refresh) = self.app.begin_refresh() {
            block_on(self.app.refresh(refresh));
        }
        let mut headers: Vec<(String, String)> =
            reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
        let body = reply.body.as_bytes();
        if reply.status != 204 {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        let body = if wire.method == "HEAD" { Vec::new() } else { body.to_vec() };
        let answer = Answer { status: reply.status, headers, body };
        contract::check(&wire.method, &target, &answer);
        answer
    }

    fn now(&self) -> i64 {
        let clock = self.app.platform().clock();
        i64::try_from(clock.now_ms() / 1_000).unwrap()
    }

    fn takes_raw_requests(&self) -> bool {
        true
    }

    fn has_runtime(&self) -> bool {
        false
    }
}
