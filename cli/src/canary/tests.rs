//! The canary against an edge whose answers change when the test says.

use std::{
    io::Cursor,
    sync::{Arc, Mutex},
};

use admit_publish::peer::{
    time::Time,
    wire::{Request, Response, Wire},
};
use clap::Parser;
use ureq::http::{HeaderMap, Method, StatusCode};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// Time that passes by sleeping.
#[derive(Default)]
struct Clock(Mutex<Duration>);

impl Time for Clock {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn unix_secs(&self) -> Result<UnixSecs> {
        Ok(1_700_000_000 + i64::try_from(self.elapsed().as_secs())?)
    }

    fn sleep(&self, pause: Duration) {
        *self.0.lock().unwrap() += pause;
        // The other thread sends the change meanwhile.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An edge with an origin behind it, which shows a write after a while.
struct FakeEdge {
    clock: Arc<Clock>,
    lag: Duration,
    merchant_may: bool,
    /// Writes, each with its time: whether it granted.
    writes: Mutex<Vec<(Duration, bool)>>,
    log: Mutex<Vec<String>>,
    /// Stops the command when this many writes have come.
    stop_after: Option<(usize, Arc<AtomicBool>)>,
    owned: &'static str,
}

impl Wire for FakeEdge {
    fn send(&self, request: &Request<'_>) -> Result<Response, ureq::Error> {
        let now = self.clock.elapsed();
        let answer = |status: u16, body: String| {
            let (status, headers) = (StatusCode::from_u16(status).unwrap(), HeaderMap::new());
            Ok(Response { status, headers, body: Box::new(Cursor::new(body.into_bytes())) })
        };
        let (_, path) = request.url.split_once("edge.example").unwrap();
        if *request.method == Method::GET {
            let writes = self.writes.lock().unwrap();
            let seen = writes.iter().rev().find(|(at, _)| *at + self.lag <= now);
            let own = if seen.is_some_and(|(_, is_granted)| *is_granted) {
                r#"{"item_id":5101,"customer_id":88005}"#
            } else {
                self.owned
            };
            let total = usize::from(!own.is_empty());
            return answer(200, format!(r#"{{"total":{total},"collection":[{own}]}}"#));
        }
        let body = request.body.map(String::from_utf8_lossy).unwrap_or_default();
        self.log.lock().unwrap().push(format!("{} {path} {body}", request.method));
        if !self.merchant_may {
            return answer(403, r#"{"code":403,"message":"Forbidden"}"#.to_owned());
        }
        let mut writes = self.writes.lock().unwrap();
        writes.push((now, *request.method == Method::POST));
        if let Some((count, stop)) = &self.stop_after
            && writes.len() == *count
        {
            stop.store(true, Ordering::Relaxed);
        }
        if *request.method == Method::POST {
            answer(201, "{}".to_owned())
        } else {
            answer(204, String::new())
        }
    }
}

struct Stage {
    edge: Arc<FakeEdge>,
    args: Args,
    stop: Arc<AtomicBool>,
}

fn stage(lag_secs: u64, change: impl FnOnce(&mut FakeEdge, &Arc<AtomicBool>)) -> Stage {
    let clock = Arc::new(Clock::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut edge = FakeEdge {
        clock: Arc::clone(&clock),
        lag: Duration::from_secs(lag_secs),
        merchant_may: true,
        writes: Mutex::default(),
        log: Mutex::default(),
        stop_after: None,
        owned: "",
    };
    change(&mut edge, &stop);
    let edge = Arc::new(edge);
    let line = "canary --edge https://edge.example --merchant m.m.m --item 5101 --consumer 88005 --viewer v.v.v --rounds 2 \
                --timeout 20 --settle 2 --json";
    let mut args = Cli::try_parse_from(line.split_whitespace()).unwrap().args;
    args.outside = Outside { wire: Arc::clone(&edge) as _, time: clock };
    Stage { edge, args, stop }
}

#[test]
fn an_access_is_granted_and_taken_away_in_each_round() {
    let stage = stage(3, |_, _| {});
    let code = measure(&stage.args, &stage.stop).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    let log = stage.edge.log.lock().unwrap().clone();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(
        log[0].starts_with("POST /items/access item_id=5101&consumer_id=88005&expires_at=17000000"),
        "{log:?}"
    );
    assert_eq!(log[1], "DELETE /items/5101/access?consumer_id=88005 ");
}

#[test]
fn an_edge_that_does_not_see_it_in_time_fails_the_command_and_the_marker_is_put_back() {
    let stage = stage(1_000_000, |_, _| {});
    let code = measure(&stage.args, &stage.stop).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(stage.edge.writes.lock().unwrap().last().map(|(_, is_granted)| *is_granted), Some(false));
}

#[test]
fn a_signal_ends_the_run_with_the_marker_put_back() {
    let stage = stage(1, |edge, stop| edge.stop_after = Some((1, Arc::clone(stop))));
    measure(&stage.args, &stage.stop).unwrap();
    let writes = stage.edge.writes.lock().unwrap().clone();
    assert_eq!(writes.iter().map(|(_, is_granted)| *is_granted).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_access_that_was_there_before_is_not_touched() {
    for (owned, problem) in [
        (r#"{"item_id":5101,"customer_id":88005}"#, "has, or had, an access to it"),
        (r#"{"item_id":7,"customer_id":1}"#, "--viewer is the token of customer 1"),
    ] {
        let stage = stage(1, |edge, _| edge.owned = owned);
        let error = format!("{:#}", measure(&stage.args, &stage.stop).unwrap_err());
        assert!(error.contains(problem), "{error}");
        assert!(stage.edge.log.lock().unwrap().is_empty(), "nothing was written");
    }
}

#[test]
fn a_merchant_without_the_right_is_told_what_is_missing() {
    let stage = stage(1, |edge, _| edge.merchant_may = false);
    let error = format!("{:#}", measure(&stage.args, &stage.stop).unwrap_err());
    assert!(error.contains("403 (Forbidden)") && error.contains("lacks the right"), "{error}");
}

#[test]
fn a_viewer_whose_token_ends_during_the_run_is_refused() {
    let claims = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(br#"{"exp":1700000100}"#);
    let mut stage = stage(1, |_, _| {});
    stage.args.viewer = Some(format!("e30.{claims}.c2ln"));
    stage.args.timeout = 150;
    let error = format!("{:#}", measure(&stage.args, &stage.stop).unwrap_err());
    assert!(error.contains("the token ends in 100 s, and the run may take"), "{error}");
}
