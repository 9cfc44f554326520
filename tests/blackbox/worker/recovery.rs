//! The Worker in workerd after its Wasm panics or is left by an exception, and the methods that it offers to
//! other Workers. Run by `cargo xtask test`.

use serde_json::json;

use crate::{catalogue, issuers, subject::Subject as _, wire::Wire, workerd::Workerd};

/// The header that requests a fault.
const FAULT: &str = "x-tests-fault";

/// Breaks the runtime for one request, so that the shipped code is tested unchanged. `panic`: the Worker's
/// state is borrowed while it draws the random key of its token cache; a request within that request borrows
/// it again, which panics. `exception`: the clock throws, and an exception that Rust does not expect passes
/// through it.
const FAULTS: &str = r#"
import admit, { Entitlements as Own } from "./index.js";

const { getRandomValues } = crypto;
const { now } = Date;

function breaks(fault, again) {
  if (fault === "panic") {
    crypto.getRandomValues = (bytes) => {
      crypto.getRandomValues = getRandomValues;
      again();
      return getRandomValues.call(crypto, bytes);
    };
  }
  if (fault === "exception") {
    Date.now = () => {
      Date.now = now;
      throw new Error("a broken clock");
    };
  }
}

export default {
  fetch(request, env, ctx) {
    breaks(request.headers.get("x-tests-fault"), () => admit.fetch(request, env, ctx));
    return admit.fetch(request, env, ctx);
  }
};

export class Entitlements extends Own {
  check(token, item, viewer) {
    breaks(viewer?.address?.replace("tests-fault-", ""), () => {
      const headers = { authorization: `Bearer ${token}` };
      admit.fetch(new Request(`https://edge.example/items/${item}/access`, { headers }), this.env, this.ctx);
    });
    return super.check(token, item, viewer);
  }
}
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

    /// The status of a request with a fault.
    fn fault(&self, fault: &str) -> u16 {
        self.0.send(&self.check().header(FAULT, fault)).status
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_exception_costs_one_request() {
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
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_panic_costs_one_request() {
    let faulty = Faulty::start();
    let before = faulty.answer();
    assert_eq!(before.0, 200);
    for round in 0..3 {
        // A new instance. A request without a token starts it, so that the next request is answered at once.
        assert_eq!(faulty.fault("exception"), 500);
        assert_eq!(faulty.0.send(&Wire::get("/items/5101")).status, 200);
        assert_eq!(faulty.fault("panic"), 500);
        assert!(faulty.0.log_line(&["already borrowed"]).is_some(), "{}", faulty.0.output());
        assert_eq!(faulty.answer(), before, "round {round}: {}", faulty.0.output());
        assert_eq!(faulty.answer(), before);
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_panic_of_a_new_instance_costs_one_request() {
    let faulty = Faulty::start();
    let before = faulty.answer();
    assert_eq!(faulty.fault("exception"), 500);
    // Through the generated glue, like every first request of an instance.
    assert_eq!(faulty.fault("panic"), 500);
    assert!(faulty.0.log_line(&["already borrowed"]).is_some(), "{}", faulty.0.output());
    assert_eq!(faulty.answer(), before);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_call_is_answered_after_a_panic_and_after_an_exception() {
    let faulty = Faulty::start();
    let token = faulty.0.token("subscriber");
    let check = || faulty.0.call("ANY", "check", &json!([token, 5101]))["result"].clone();
    let before = check();
    assert_eq!(before["access"], true, "{before}");
    let failed = json!({ "access": false, "code": 500, "message": "Internal error" });
    // Known viewers are asked about in numbers: the faults hit that way, too.
    assert_eq!([(); 6].map(|()| check()), [(); 6].map(|()| before.clone()));
    for round in 0..3 {
        // The address names the fault, as a header does for requests.
        let fault = |fault: &str| {
            let viewer = json!({ "address": format!("tests-fault-{fault}") });
            faulty.0.call("ANY", "check", &json!([token, 5101, viewer]))["result"].clone()
        };
        assert_eq!(fault("exception"), failed, "round {round}: {}", faulty.0.output());
        assert_eq!([(); 3].map(|()| check()), [(); 3].map(|()| before.clone()));
        assert_eq!(fault("exception"), failed, "round {round}: {}", faulty.0.output());
        assert_eq!(faulty.0.send(&Wire::get("/items/5101")).status, 200);
        assert_eq!(fault("panic"), failed, "round {round}: {}", faulty.0.output());
        assert!(faulty.0.log_line(&["already borrowed"]).is_some(), "{}", faulty.0.output());
        assert_eq!([(); 3].map(|()| check()), [(); 3].map(|()| before.clone()));
        assert_eq!(faulty.answer().0, 200);
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn other_workers_may_call_nothing_but_fetch_of_the_default_entrypoint() {
    let worker = Workerd::start(&issuers::variables());
    let of_the_entrypoint = ["check", "checkMany", "licenses", "playback", "explain"];
    for method in ["answer", "inputs", "is_ready", "repeat", "__wbg_reset_state", "nothing"] {
        for binding in ["MAIN", "ANY"] {
            let told = worker.call(binding, method, &json!([]));
            assert!(told["error"].is_string(), "{binding}.{method}: {told}");
        }
    }
    for method in of_the_entrypoint {
        let told = worker.call("MAIN", method, &json!(["a.b.c", 5101]));
        assert!(told["error"].is_string(), "{method}: {told}");
    }
}
