//! Whose checks the Worker answers in numbers in workerd, for how long, and how clients can influence that. Run by
//! `cargo xtask test`.

use crate::{
    catalogue, configured, issuers, personas,
    subject::Subject as _,
    wire::{Answer, Wire},
    workerd::Workerd,
};

/// The header that requests a fault.
const FAULT: &str = "x-tests-fault";

/// The header that shifts the clock by this number of seconds.
const OFF: &str = "x-tests-off";

/// Counts the texts that leave Wasm for an answer: the answer to a known viewer needs none, once its own are known.
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

/// Whether the answer, which must be a grant, needed no text of Wasm.
fn is_short(worker: &Workerd, wire: &Wire) -> bool {
    let answer = worker.send(wire);
    assert_eq!(answer.status, 200, "{}", wire.describe());
    answer.header("x-tests-texts") == Some("0")
}

/// The answers until a viewer is known: the first of an isolate loads, two are needed for a handle, and the next one
/// asks for the texts.
const UNTIL_KNOWN: usize = 4;

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_viewer_is_known_and_forgotten_with_the_instance() {
    let worker = started(&[]);
    let check =
        |item: i64, persona: &str| Wire::get(&format!("/items/{item}/access")).bearer(&worker.token(persona));
    let is_short = |wire: Wire| is_short(&worker, &wire);
    let subscriber = || check(5101, "subscriber");
    let asked = |wire: fn(Wire) -> Wire| wire(subscriber());
    assert_eq!([0; UNTIL_KNOWN].map(|_| is_short(subscriber())), [false; UNTIL_KNOWN]);
    assert!(is_short(subscriber()) && is_short(subscriber()) && is_short(subscriber()));
    // Another viewer is not known; another item is loaded, and its text is asked for once.
    assert!(!is_short(check(5110, "item-buyer")));
    assert_eq!([0; 4].map(|_| is_short(check(5102, "subscriber"))), [false, false, true, true]);
    assert!(is_short(asked(|wire| wire.header("User-Agent", "another"))));
    // The viewer's own text names the country and the address.
    assert_eq!([0; 2].map(|_| is_short(asked(|wire| wire.country("SE")))), [false, true]);
    let elsewhere = || asked(|wire| wire.header("CF-Connecting-IP", "198.51.100.1"));
    assert_eq!([0; 2].map(|_| is_short(elsewhere())), [false, true]);
    assert!(!is_short(asked(|wire| wire.head())), "only GET");
    assert_eq!([0; 2].map(|_| is_short(subscriber())), [false, true]);
    // A new instance knows no viewer.
    let fault = subscriber().header(FAULT, "exception");
    assert_eq!(worker.send(&fault).status, 500);
    assert_eq!([0; UNTIL_KNOWN].map(|_| is_short(subscriber())), [false; UNTIL_KNOWN]);
    assert!(is_short(subscriber()));
}

/// A page with a denial is asked anew each time.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_page_is_given_again_if_all_of_it_is_granted() {
    let worker = started(&[]);
    let page = |items: &str| Wire::get(&format!("/access?items={items}")).bearer(&worker.token("subscriber"));
    let is_short = |wire: Wire| is_short(&worker, &wire);
    // The first loads, the third is kept, and its first repetition asks for the texts of headers.
    assert_eq!([0; UNTIL_KNOWN].map(|_| is_short(page("5101,5102"))), [false; UNTIL_KNOWN]);
    assert!(is_short(page("5101,5102")) && is_short(page("5101,5102")));
    let [first, again] = [page("5102,5101"), page("5101,5102")].map(|wire| worker.send(&wire));
    let body = |answer: &Answer| serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap();
    assert_eq!(body(&first)["items"][0], body(&again)["items"][1]);
    assert_eq!(first.header("content-type"), again.header("content-type"));
    assert_eq!([0; 4].map(|_| is_short(page("5101,5999"))), [false; 4], "an unknown item");
    // Not another viewer's, and not after the next version without the customer.
    let other = Wire::get("/access?items=5101,5102").bearer(&worker.token("never-bought"));
    assert_ne!(body(&worker.send(&other)), body(&again));
    catalogue::publish_without_customers(&worker, 2);
    let denied = body(&worker.send(&page("5101,5102").header(OFF, "31")));
    let later = body(&worker.send(&page("5101,5102").header(OFF, "32")));
    assert!([denied, later].iter().any(|body| body["items"][0]["access"] == false), "revoked");
}

/// The times of an answer survive the way to JavaScript and back.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_viewer_is_known_while_the_token_is_valid() {
    let worker = started(&[]);
    let persona = personas::all().iter().find(|persona| persona.name == "subscriber").unwrap();
    let token = issuers::token(&persona.issuer, &persona.claims, worker.now() + 20);
    let check = |off: i64| {
        worker.send(&Wire::get("/items/5101/access").bearer(&token).header(OFF, off.to_string())).status
    };
    // Kept answers, and the leeway of 60 s, within which an answer is not kept.
    assert_eq!([0; 8].map(check), [200; 8]);
    assert_eq!([25, 25, 0, -10, -5, 0, 25].map(check), [200; 7]);
    assert_eq!([85, 85].map(check), [401; 2]);
    assert_eq!([0; 3].map(check), [200; 3]);
}

/// Each spelling of a listed page origin would be another set of headers.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn strangers_cannot_make_viewers_unknown() {
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
    assert_eq!([0; UNTIL_KNOWN].map(|_| is_short(&worker, &check)), [false; UNTIL_KNOWN]);
    assert!(is_short(&worker, &check));
    // Tokens that are not verified, and viewers who are denied, are not known.
    for n in 0..20 {
        let stranger = Wire::get("/items/5101/access").bearer(&format!("a.b.{n}"));
        assert_eq!(worker.send(&stranger).status, 401);
    }
    assert!(is_short(&worker, &check));
}

/// Whether an answer is new enough, the ordinary way says.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_check_that_insists_takes_the_ordinary_way() {
    let worker = started(&[("ORIGIN_URL", "http://127.0.0.1:9")]);
    let token = worker.token("subscriber");
    let check = || Wire::get("/items/5101/access").bearer(&token);
    let asked: Vec<_> = (0..UNTIL_KNOWN + 2).map(|_| is_short(&worker, &check())).collect();
    assert_eq!(asked.last(), Some(&true));
    let insists = check().header("Entitlement-Min-Seq", "1");
    assert_eq!([0; 4].map(|_| is_short(&worker, &insists)), [false; 4]);
}

/// A panic in an instance that knows viewers: its state is borrowed while it logs that a new version takes
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
fn viewers_known_before_a_panic_are_forgotten() {
    let worker = Workerd::start_behind(PANICS, &issuers::variables());
    catalogue::publish(&worker, 1);
    let check = || Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    assert_eq!([0; 6].map(|_| worker.send(&check()).status), [200; 6]);
    catalogue::publish_without_customers(&worker, 2);
    assert_eq!(worker.send(&check().header(FAULT, "panic")).status, 500);
    assert!(worker.log_line(&["already mutably borrowed"]).is_some(), "{}", worker.output());
    // Starts the new instance, and makes it load the head.
    worker.send(&Wire::get("/items/5101"));
    worker.send(&Wire::get("/items/5101"));
    assert_eq!([0; 3].map(|_| worker.send(&check()).status), [402; 3]);
}
