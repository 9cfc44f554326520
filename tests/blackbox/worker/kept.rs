//! Which answers the Worker keeps in workerd, for how long, and how clients can influence that. Run by `cargo
//! xtask test`.

use crate::{catalogue, configured, issuers, personas, subject::Subject as _, wire::Wire, workerd::Workerd};

/// The header that requests a fault.
const FAULT: &str = "x-tests-fault";

/// The header that shifts the clock by this number of seconds.
const OFF: &str = "x-tests-off";

/// Counts the texts that leave Wasm for an answer: a kept answer needs none.
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
    Date.now = () => now() + 1000 * Number(request.headers.get("x-tests-off") ?? 0);
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

fn started(variables: &[(&str, &str)]) -> Workerd {
    let worker = Workerd::start_behind(COUNTED, &configured::variables(variables));
    catalogue::publish(&worker, 1);
    worker
}

/// Whether the answer, which must be a grant, was a kept one.
fn is_kept(worker: &Workerd, wire: &Wire) -> bool {
    let answer = worker.send(wire);
    assert_eq!(answer.status, 200, "{}", wire.describe());
    answer.header("x-tests-texts") == Some("0")
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_answer_is_kept_and_forgotten_with_the_instance() {
    let worker = started(&[]);
    let check =
        |item: i64, persona: &str| Wire::get(&format!("/items/{item}/access")).bearer(&worker.token(persona));
    let is_kept = |wire: Wire| is_kept(&worker, &wire);
    let subscriber = || check(5101, "subscriber");
    let asked = |wire: fn(Wire) -> Wire| wire(subscriber());
    // The first request loads the data; the second one is the first to be answered from memory.
    assert_eq!([0; 4].map(|_| is_kept(subscriber())), [false, false, true, true]);
    // Another viewer's answer, or another question, does not match. For each token a few answers are kept,
    // one for each URL.
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
    // A new instance has no kept answers.
    let fault = subscriber().header(FAULT, "exception");
    assert_eq!(worker.send(&fault).status, 500);
    assert_eq!([0; 3].map(|_| is_kept(subscriber())), [false, false, true]);
}

/// The times of an answer survive the way to JavaScript and back.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_answer_is_kept_for_its_time() {
    let worker = started(&[]);
    let persona = personas::all().iter().find(|persona| persona.name == "subscriber").unwrap();
    // Within the leeway such a token is valid, but its answers are not kept.
    let token = issuers::token(&persona.issuer, &persona.claims, worker.now() + 20);
    let is_kept = |off: i64| {
        is_kept(&worker, &Wire::get("/items/5101/access").bearer(&token).header(OFF, off.to_string()))
    };
    assert_eq!([0; 3].map(is_kept), [false, false, true]);
    assert_eq!([25; 3].map(is_kept), [false; 3]);
    assert!(is_kept(0));
    assert!(!is_kept(-10), "the clock went back");
    assert_eq!([-10, -5, 0].map(is_kept), [true; 3]);
}

/// Each spelling of a listed page origin would be another set of headers.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn strangers_cannot_end_the_keeping_of_answers() {
    let worker = started(configured::ORIGINS);
    for n in 0..32_u32 {
        let letters = "tvexa".chars().enumerate();
        let spelt: String = letters
            .map(|(bit, letter)| if n >> bit & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let origin = format!("https://{}.{}mple", &spelt[..2], &spelt[2..]);
        assert_eq!(worker.send(&Wire::get("/nowhere").header("Origin", origin)).status, 404);
    }
    let token = worker.token("subscriber");
    let check = Wire::get("/items/5101/access").bearer(&token).header("Origin", "https://tv.example");
    assert_eq!([0; 4].map(|_| is_kept(&worker, &check)), [false, false, true, true]);
}

/// Long client headers may be kept only as far as their bytes are counted.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn very_long_headers_are_not_kept() {
    let worker = started(&[("ORIGIN_URL", "http://127.0.0.1:9")]);
    let token = worker.token("subscriber");
    for (length, kept) in [(20, true), (1_000, true), (100_000, false)] {
        let min_seq = "x".repeat(length);
        let check = Wire::get("/items/5101/access").bearer(&token).header("Entitlement-Min-Seq", min_seq);
        assert_eq!([0; 4].map(|_| is_kept(&worker, &check))[3], kept, "{length}");
    }
}

/// A panic in an instance with kept answers: its state is borrowed while it logs that a new version takes
/// over.
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

/// A grant from before a revocation.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn answers_kept_before_a_panic_are_forgotten() {
    let worker = Workerd::start_behind(PANICS, &issuers::variables());
    catalogue::publish(&worker, 1);
    let check = || Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    assert_eq!([0; 4].map(|_| worker.send(&check()).status), [200; 4]);
    catalogue::publish_without_customers(&worker, 2);
    assert_eq!(worker.send(&check().header(FAULT, "panic")).status, 500);
    assert!(worker.log_line(&["already mutably borrowed"]).is_some(), "{}", worker.output());
    // Starts the new instance, and makes it load the head.
    worker.send(&Wire::get("/items/5101"));
    worker.send(&Wire::get("/items/5101"));
    assert_eq!([0; 3].map(|_| worker.send(&check()).status), [402; 3]);
}
