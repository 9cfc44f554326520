//! Metrics and health over HTTP.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use admit_metrics::{IntGauge, Registry, Watched, counters, gauge, histogram, serve};

struct Program {
    registry: Registry,
    asked: IntGauge,
    is_broken: AtomicBool,
}

impl Watched for Program {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn refresh(&self) {
        self.asked.inc();
    }

    fn problems(&self) -> Vec<&'static str> {
        if self.is_broken.load(Ordering::Relaxed) { vec!["lease", "origin"] } else { Vec::new() }
    }
}

fn program() -> (Arc<Program>, SocketAddr) {
    let registry = Registry::new();
    let failures = counters(&registry, "test_failures_total", "Failures.", &["kind"]).unwrap();
    failures.with_label_values(&["a \"quoted\"\nkind"]).inc_by(2);
    histogram(&registry, "test_seconds", "Durations.", &[0.1, 1.0]).unwrap().observe(0.5);
    let asked = gauge(&registry, "test_asked", "How often.").unwrap();
    let program = Arc::new(Program { registry, asked, is_broken: AtomicBool::new(false) });
    let address = serve("127.0.0.1:0".parse().unwrap(), Arc::clone(&program) as _).unwrap();
    (program, address)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(format!("http://{address}{path}")).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn metrics_are_prometheus_text() {
    let (_program, address) = program();
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200);
    for line in [
        "# TYPE test_failures_total counter",
        "# HELP test_failures_total Failures.",
        r#"test_failures_total{kind="a \"quoted\"\nkind"} 2"#,
        "test_seconds_bucket{le=\"1\"} 1",
        "test_seconds_bucket{le=\"0.1\"} 0",
        "test_asked 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(get(address, "/metrics").1.contains("test_asked 2"), "metrics are read on demand");
}

#[test]
fn a_name_is_taken_once() {
    let registry = Registry::new();
    gauge(&registry, "test", "One.").unwrap();
    assert!(gauge(&registry, "test", "Two.").is_err());
    assert!(gauge(&registry, "not a name", "Three.").is_err());
}

#[test]
fn a_program_that_does_not_do_its_work_is_alive_and_not_ready() {
    let (program, address) = program();
    assert_eq!(get(address, "/readyz"), (200, r#"{"status":"ok"}"#.to_owned()));
    program.is_broken.store(true, Ordering::Relaxed);
    let problems = r#"{"status":"not ready","problems":["lease","origin"]}"#;
    assert_eq!(get(address, "/readyz"), (503, problems.to_owned()));
    assert_eq!(get(address, "/healthz").0, 200);
    assert_eq!(get(address, "/").0, 404);
}

#[test]
fn clients_that_say_nothing_keep_no_scraper_out() {
    let (_program, address) = program();
    // Two fewer than there are places, and one that sends more headers than fit.
    let silent: Vec<_> = (0..14).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut loud = TcpStream::connect(address).unwrap();
    loud.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let headers = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n", "x".repeat(64 * 1024));
    let _ = loud.write_all(headers.as_bytes());
    let mut answer = String::new();
    let _ = loud.read_to_string(&mut answer);
    assert!(!answer.contains("test_asked"), "{answer}");
    assert_eq!(get(address, "/healthz").0, 200);
    drop(silent);
}

#[test]
fn only_reads_are_answered() {
    let (_program, address) = program();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"DELETE /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}
