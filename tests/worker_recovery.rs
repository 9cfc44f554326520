//! What becomes of the Worker in workerd when its Wasm panics or is left by an exception, which answers it keeps, and
//! what it offers to other Workers. `cargo xtask test` runs it.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

#[expect(dead_code, reason = "each suite uses a part of it")]
mod blackbox;
#[path = "blackbox/client.rs"]
mod client;
#[path = "blackbox/workerd.rs"]
#[expect(dead_code, reason = "each suite uses a part of it")]
mod workerd;

use blackbox::{catalogue, configured, issuers, subject::Subject as _, wire::Wire};
use workerd::Workerd;

/// The header that asks for a fault.
const FAULT: &str = "x-tests-fault";

/// Breaks the runtime for one request, so that what ships is tested as it ships. `panic`: while the Worker draws
/// the random key of its token cache, its state is borrowed; a request within that request borrows it again,
/// which is a panic. `exception`: the clock throws, and an exception that Rust does not expect goes through it.
const FAULTS: &str = r#"
import admit from "./index.js";

const { getRandomValues } = crypto;
const { now } = Date;

export default {
  fetch(request, env, ctx) {
    const fault = request.headers.get("x-tests-fault");
    if (fault === "panic") {
      crypto.getRandomValues = (bytes) => {
        crypto.getRandomValues = getRandomValues;
        admit.fetch(request, env, ctx);
        return getRandomValues.call(crypto, bytes);
      };
    }
    if (fault === "exception") {
      Date.now = () => {
        Date.now = now;
        throw new Error("a broken clock");
      };
    }
    return admit.fetch(request, env, ctx);
  }
};
"#;

/// Counts the texts that come out of Wasm for an answer: what was kept is none.
const COUNTED: &str = r#"
import admit from "./index.js";

const { decode } = TextDecoder.prototype;
const { now } = Date;
let count = 0;
TextDecoder.prototype.decode = function (...bytes) {
  count += 1;
  return decode.apply(this, bytes);
};

export default {
  async fetch(request, env, ctx) {
    if (request.headers.get("x-tests-fault") === "exception") {
      Date.now = () => {
        Date.now = now;
        throw new Error("a broken clock");
      };
    }
    count = 0;
    const answer = await admit.fetch(request, env, ctx);
    const response = new Response(answer.body, answer);
    response.headers.set("x-tests-texts", String(count));
    return response;
  }
};
"#;

struct Faulty(Workerd);

impl Faulty {
    fn start() -> Self {
        let worker = Workerd::start_behind(FAULTS, &issuers::variables());
        catalogue::publish(&worker, 1);
        Self(worker)
    }

    fn check(&self) -> Wire {
        Wire::get("/items/5101/access").bearer(&self.0.token("subscriber"))
    }

    /// The answer that a viewer gets.
    fn answer(&self) -> (u16, String) {
        let answer = self.0.send(&self.check());
        (answer.status, answer.text())
    }

    /// The status of a request that goes wrong.
    fn fault(&self, fault: &str) -> u16 {
        self.0.send(&self.check().header(FAULT, fault)).status
    }
}

#[test]
fn an_exception_costs_one_request() {
    if !workerd::is_wanted() {
        return;
    }
    let faulty = Faulty::start();
    let before = faulty.answer();
    assert_eq!(before.0, 200);
    for _ in 0..3 {
        assert_eq!(faulty.fault("exception"), 500);
        assert_eq!(faulty.answer(), before);
        assert_eq!(faulty.answer(), before);
    }
}

#[test]
fn a_panic_costs_one_request() {
    if !workerd::is_wanted() {
        return;
    }
    let faulty = Faulty::start();
    let before = faulty.answer();
    assert_eq!(before.0, 200);
    for round in 0..3 {
        // A new instance, which a request without a token makes ready, so that the next one is answered at once.
        assert_eq!(faulty.fault("exception"), 500);
        assert_eq!(faulty.0.send(&Wire::get("/items/5101")).status, 200);
        assert_eq!(faulty.fault("panic"), 500);
        assert!(faulty.0.log_line(&["already borrowed"]).is_some(), "{}", faulty.0.output());
        assert_eq!(faulty.answer(), before, "round {round}: {}", faulty.0.output());
        assert_eq!(faulty.answer(), before);
    }
}

#[test]
fn a_panic_of_a_new_instance_costs_one_request() {
    if !workerd::is_wanted() {
        return;
    }
    let faulty = Faulty::start();
    let before = faulty.answer();
    assert_eq!(faulty.fault("exception"), 500);
    // The generated way, as every first request of an instance.
    assert_eq!(faulty.fault("panic"), 500);
    assert!(faulty.0.log_line(&["already borrowed"]).is_some(), "{}", faulty.0.output());
    assert_eq!(faulty.answer(), before);
}

#[test]
fn an_answer_is_kept_and_forgotten_with_the_instance() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = Workerd::start_behind(COUNTED, &issuers::variables());
    catalogue::publish(&worker, 1);
    let check =
        |item: i64, persona: &str| Wire::get(&format!("/items/{item}/access")).bearer(&worker.token(persona));
    let is_kept = |wire: Wire| {
        let answer = worker.send(&wire);
        assert_eq!(answer.status, 200, "{}", wire.describe());
        answer.header("x-tests-texts") == Some("0")
    };
    let subscriber = || check(5101, "subscriber");
    let asked = |wire: fn(Wire) -> Wire| wire(subscriber());
    // The first request loads, the second one is the first from memory.
    assert_eq!([0; 4].map(|_| is_kept(subscriber())), [false, false, true, true]);
    // Somebody else's, or another question, is not it; of each token a few are kept, one for each URL.
    assert!(!is_kept(check(5110, "item-buyer")));
    assert_eq!([0; 3].map(|_| is_kept(check(5102, "subscriber"))), [false, false, true]);
    assert!(is_kept(subscriber()));
    assert!(!is_kept(asked(|wire| wire.country("SE"))));
    assert!(is_kept(asked(|wire| wire.country("SE"))));
    assert!(!is_kept(asked(|wire| wire.header("CF-Connecting-IP", "198.51.100.1"))));
    assert!(!is_kept(subscriber()), "its URL is another viewer's now");
    assert!(is_kept(subscriber()));
    assert!(!is_kept(asked(|wire| wire.head())), "only GET");
    assert!(is_kept(subscriber()));
    // A new instance knows nothing of what the one before said.
    let fault = subscriber().header(FAULT, "exception");
    assert_eq!(worker.send(&fault).status, 500);
    assert_eq!([0; 3].map(|_| is_kept(subscriber())), [false, false, true]);
}

/// Review: anybody, without a token, fills the sixteen sets of headers for as long as the isolate lives. The `Origin` that
/// is echoed is the client's spelling of it, and each spelling is a set of its own.
#[test]
fn strangers_cannot_end_the_keeping_of_answers() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = Workerd::start_behind(COUNTED, &configured::variables(configured::ORIGINS));
    catalogue::publish(&worker, 1);
    for n in 0..32_u32 {
        let letters = "tvexa".chars().enumerate();
        let spelt: String = letters
            .map(|(bit, letter)| if n >> bit & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let origin = format!("https://{}.{}mple", &spelt[..2], &spelt[2..]);
        assert_eq!(worker.send(&Wire::get("/nowhere").header("Origin", origin)).status, 404);
    }
    let check = Wire::get("/items/5101/access")
        .bearer(&worker.token("subscriber"))
        .header("Origin", "https://tv.example");
    let is_kept = [0; 4].map(|_| worker.send(&check).header("x-tests-texts") == Some("0"));
    assert_eq!(is_kept, [false, false, true, true]);
}

/// Review: what a client sends in a header is kept, however long, and not counted.
#[test]
fn long_headers_are_not_kept() {
    if !workerd::is_wanted() {
        return;
    }
    let worker =
        Workerd::start_behind(COUNTED, &configured::variables(&[("ORIGIN_URL", "http://127.0.0.1:9")]));
    catalogue::publish(&worker, 1);
    let mut longest = 0;
    for length in [100, 4_000, 16_000, 60_000, 120_000] {
        let check = Wire::get("/items/5101/access")
            .bearer(&worker.token("subscriber"))
            .header("Entitlement-Min-Seq", "x".repeat(length));
        let kept = [0; 4].map(|_| {
            let answer = worker.send(&check);
            (answer.status, answer.header("x-tests-texts") == Some("0"))
        });
        println!("{length}: {kept:?}");
        if kept.contains(&(200, true)) {
            longest = length;
        }
    }
    // Or whatever bound is chosen.
    assert!(longest < 1_000, "{longest} characters more are kept, and not counted");
}

/// Review: what it comes to in memory. One viewer, one token.
#[test]
#[ignore = "prints memory"]
fn what_one_viewer_can_make_an_isolate_hold() {
    let worker =
        Workerd::start_behind(COUNTED, &configured::variables(&[("ORIGIN_URL", "http://127.0.0.1:9")]));
    catalogue::publish(&worker, 1);
    let rss = || {
        let me = std::process::id().to_string();
        let mut told = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
            let field = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned()
            };
            if field("PPid:") == me {
                told.push(field("VmRSS:"));
            }
        }
        told
    };
    let token = worker.token("subscriber");
    let header = std::env::var("REVIEW_HEADER").unwrap_or_else(|_| "Entitlement-Min-Seq".to_owned());
    println!("before: {:?}", rss());
    for spaces in 1..=300_usize {
        for n in 0..8 {
            let check = Wire::get(&format!("/items/5101/access?{n}"))
                .header("Authorization", format!("Bearer{}{token}", " ".repeat(spaces)))
                .header(&header, "x".repeat(60_000));
            assert_eq!(worker.send(&check).status, 200);
        }
        if spaces % 50 == 0 {
            println!("{} requests: {:?}", spaces * 8, rss());
        }
    }
}

/// A clock that is so many seconds off.
const OFF: &str = r#"
import admit from "./index.js";

const { now } = Date;

export default {
  fetch(request, env, ctx) {
    Date.now = () => now() + 1000 * Number(request.headers.get("x-tests-off") ?? 0);
    return admit.fetch(request, env, ctx);
  }
};
"#;

/// Review: the moments of an answer survive the border, in both directions. A free item shows the moment of the check.
#[test]
fn what_is_kept_for_a_second_is_given_for_a_second() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = Workerd::start_behind(OFF, &issuers::variables());
    catalogue::publish(&worker, 1);
    let created_at = |off: i64| {
        let wire = Wire::get("/items/5140/access").bearer(&worker.token("subscriber"));
        let answer = worker.send(&wire.header("x-tests-off", off.to_string()));
        assert_eq!(answer.status, 200);
        answer.json()["created_at"].as_i64().unwrap()
    };
    let start = [0; 4].map(|_| created_at(0))[3];
    for off in [10, -10, 10, 20, 0] {
        for _ in 0..3 {
            let shown = created_at(off) - start - off;
            assert!((0..5).contains(&shown), "{off} s off: {shown}");
        }
    }
}

/// A panic of an instance that has kept answers: while it logs a version that takes over, its state is borrowed.
const PANICS: &str = r#"
import admit from "./index.js";

const { log } = console;

export default {
  fetch(request, env, ctx) {
    if (request.headers.get("x-tests-fault") === "panic") {
      console.log = (...told) => {
        console.log = log;
        admit.fetch(request, env, ctx);
      };
    }
    return admit.fetch(request, env, ctx);
  }
};
"#;

/// Review: holds, and nothing else would notice if it did not. The new instance counts its epochs from the start, so that
/// what the one before kept would fit again: a grant from before a revocation.
#[test]
fn what_was_kept_before_a_panic_is_forgotten() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = Workerd::start_behind(PANICS, &issuers::variables());
    catalogue::publish(&worker, 1);
    let check = || Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    assert_eq!([0; 4].map(|_| worker.send(&check()).status), [200; 4]);
    catalogue::publish_without_customers(&worker, 2);
    assert_eq!(worker.send(&check().header(FAULT, "panic")).status, 500);
    assert!(worker.log_line(&["already mutably borrowed"]).is_some(), "{}", worker.output());
    // Makes the new instance ready, and loads the head.
    worker.send(&Wire::get("/items/5101"));
    worker.send(&Wire::get("/items/5101"));
    assert_eq!([0; 3].map(|_| worker.send(&check()).status), [402; 3]);
}

/// A trap while another request waits for the store: what was waited for arrives before the next request does.
const MEANWHILE: &str = r#"
import admit from "./index.js";

const { now } = Date;

export default {
  async fetch(request, env, ctx) {
    if (request.headers.get("x-tests-fault") !== "meanwhile") return admit.fetch(request, env, ctx);
    const waiting = Promise.resolve(admit.fetch(request.clone(), env, ctx)).then((a) => `a ${a.status}`, (e) => `e ${e}`);
    Date.now = () => {
      Date.now = now;
      throw new Error("a broken clock");
    };
    let told;
    try { told = (await admit.fetch(new Request(request.url.replace(/items.*/, "items/5101"), request), env, ctx)).status; }
    catch (error) { told = String(error); }
    const late = await Promise.race([waiting, new Promise((done) => setTimeout(() => done("hangs"), 500))]);
    return new Response(`${told} / ${late}`);
  }
};
"#;

/// Review: prints what becomes of it.
#[test]
#[ignore = "prints"]
fn a_trap_while_others_wait() {
    let worker = Workerd::start_behind(MEANWHILE, &issuers::variables());
    catalogue::publish(&worker, 1);
    let subscriber = || Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    let before = worker.send(&subscriber());
    for (round, target) in ["/items/5110/access", "/items/5102/access", "/license"].iter().enumerate() {
        // A new version, so that something is to be loaded.
        let wire = Wire::get(target).bearer(&worker.token("item-buyer"));
        let told = worker.send(&wire.header(FAULT, "meanwhile"));
        println!("{round}: {} {}", told.status, told.text());
        for _ in 0..4 {
            let after = worker.send(&subscriber());
            println!("   {} {}", after.status, after.text() == before.text());
        }
    }
    println!("{}", worker.output());
}

#[test]
fn other_workers_may_call_nothing_but_fetch() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = Workerd::start(&issuers::variables());
    for method in ["answer", "inputs", "is_ready", "repeat", "__wbg_reset_state", "nothing"] {
        let told = worker.call(method);
        assert!(told.starts_with("refused:"), "{method}: {told}");
    }
}
