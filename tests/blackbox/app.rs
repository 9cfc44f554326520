//! Runs the black-box suite against the service in this process, on a platform in memory.

use admit::ports::{Platform as _, UpstreamAnswer};

use crate::{
    authzen, cases, catalogue,
    catalogue::Published,
    configured, contract, holdings,
    in_process::InProcess,
    issuers, many,
    matrix::Matrix,
    oracle::Oracle,
    origin::{Origin, Seen},
    pass_through, playback, publishing, repeated, rights, routes,
    subject::Subject as _,
    support, tokens,
    wire::{Payload, Wire},
    writes,
};

/// The service with an origin behind it, and the sample catalogue.
fn with_origin() -> (InProcess, Origin) {
    let (service, origin, _) = behind(configured(&[("ORIGIN_URL", "https://origin.example")]));
    (service, origin)
}

fn behind(service: InProcess) -> (InProcess, Origin, Published) {
    let origin = Origin::default();
    let served = origin.clone();
    service.app.platform().upstream().serve(move |seen| {
        let given = served.answer(&Seen {
            method: seen.method.clone(),
            target: seen.url.strip_prefix("https://origin.example").unwrap().to_owned(),
            headers: seen.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: seen.body.clone(),
        });
        UpstreamAnswer { status: given.status, headers: given.headers, body: given.body }
    });
    let published = catalogue::publish(&service, 1);
    (service, origin, published)
}

#[test]
fn every_issuer_by_every_capability_and_route() {
    let service = InProcess::new(&rights::variables(&[("ORIGIN_URL", "https://origin.example")])).unwrap();
    let (service, _, published) = behind(service);
    println!("{} requests", rights::run(&service, &published));
}

#[test]
fn questions_in_the_form_of_authzen() {
    let service = InProcess::new(&authzen::variables(&[])).unwrap();
    let published = catalogue::publish(&service, 1);
    println!("{} requests", authzen::run(&service, &published));
}

#[test]
fn questions_of_support_staff() {
    let service = InProcess::new(&support::variables()).unwrap();
    let published = support::publish(&service);
    println!("{} requests", support::run(&service, &published));
}

#[test]
fn what_a_viewer_holds() {
    println!("{} requests", holdings::run(&InProcess::new(&holdings::variables()).unwrap()));
}

#[test]
fn many_questions_at_once() {
    let service = service();
    let published = catalogue::publish(&service, 1);
    println!("{} requests", many::run(&service, &published));
    let (service, origin) = with_origin();
    many::confirmed(&service, &origin);
}

#[test]
fn no_issuer_has_the_rights_of_another() {
    let (service, origin) = with_origin();
    println!("{} requests", rights::attacks(&service));
    // The merchant's own write, and nothing before it.
    assert_eq!((origin.done(), origin.seen().len()), (1, 1));
}

#[test]
fn every_write_right_and_wrong() {
    let (service, origin) = with_origin();
    println!("{} requests", writes::run(&service, &origin));
}

#[test]
fn no_client_can_pretend_to_be_another() {
    let (service, origin) = with_origin();
    writes::spoofing(&service, &origin);
}

#[test]
fn every_operation_of_the_document_is_answered_with_success() {
    let service = service();
    service.app.platform().store().limit_lists(2);
    let published = catalogue::publish(&service, 1);
    cases::run(&service);
    publishing::run(&service, &published);
    many::run(&service, &published);
    let (service, origin) = with_origin();
    writes::run(&service, &origin);
    let service = InProcess::new(&authzen::variables(&[])).unwrap();
    authzen::run(&service, &catalogue::publish(&service, 1));
    let signing = InProcess::new(&playback::variables()).unwrap();
    playback::run(&signing, &catalogue::publish(&signing, 1));
    contract::exercise_others(&service, &signing);
    holdings::run(&InProcess::new(&holdings::variables()).unwrap());
    let staff = InProcess::new(&support::variables()).unwrap();
    support::run(&staff, &support::publish(&staff));
    contract::assert_all_seen(contract::Writes::AreSeen);
}

fn with_pass_through(prefixes: &str) -> (InProcess, Origin) {
    let variables = [("ORIGIN_URL", "https://origin.example"), ("PASS_THROUGH", prefixes)];
    let (service, origin, _) = behind(configured(&variables));
    (service, origin)
}

#[test]
fn requests_below_prefixes_pass_as_they_are() {
    let (service, origin) = with_pass_through(pass_through::PREFIXES);
    println!("{} requests", pass_through::run(&service, &origin));
    pass_through::spoofing(&service, &origin);
}

#[test]
fn writes_beside_prefixes_are_as_before() {
    let (service, origin) = with_pass_through("/payments");
    println!("{} requests", writes::run(&service, &origin));
    writes::spoofing(&service, &origin);
}

#[test]
fn nothing_passes_unless_it_is_configured() {
    let (service, origin) = with_origin();
    pass_through::off(&service, &origin);
}

#[test]
fn a_hundred_buyers_in_a_row() {
    let (service, origin) = with_origin();
    writes::buyers(&service, &origin);
}

fn service() -> InProcess {
    InProcess::new(&issuers::variables()).unwrap()
}

#[test]
fn every_case() {
    let service = service();
    catalogue::publish(&service, 1);
    println!("{} requests", cases::run(&service));
}

#[test]
fn every_route_by_every_method() {
    let service = service();
    catalogue::publish(&service, 1);
    println!("{} requests", routes::run(&service) + routes::run_without_publishing(&service));
}

#[test]
fn playback_is_signed_for_grants_alone() {
    let service = InProcess::new(&playback::variables()).unwrap();
    let published = catalogue::publish(&service, 1);
    println!("{} requests", playback::run(&service, &published));
}

#[test]
fn every_viewer_by_every_item_and_route() {
    let service = service();
    let published = catalogue::publish(&service, 1);
    let oracle = Oracle { lines: &published.lines, at: published.at };
    println!("{} requests", Matrix { subject: &service, oracle, is_exact: true, sent: 0 }.run());
}

#[test]
fn the_same_questions_again() {
    println!("{} requests", repeated::run(&service(), repeated::any_page));
}

#[test]
fn the_same_questions_of_pages_of_a_list() {
    println!("{} requests", repeated::run(&configured(configured::ORIGINS), repeated::listed));
}

#[test]
fn publishing_refuses_unsigned_uploads() {
    let service = service();
    service.app.platform().store().limit_lists(2);
    let published = catalogue::publish(&service, 1);
    println!("{} requests", publishing::run(&service, &published));
}

fn configured(changes: &[(&str, &str)]) -> InProcess {
    InProcess::new(&configured::variables(changes)).unwrap()
}

#[test]
fn without_a_snapshot_nothing_is_denied() {
    configured::no_snapshot(&service());
}

#[test]
fn pages_of_a_list() {
    configured::listed_pages(&configured(configured::ORIGINS));
}

#[test]
fn headers_of_another_cdn() {
    configured::trusted_headers(&configured(configured::TRUSTED));
}

#[test]
fn an_invalid_configuration_is_refused() {
    for (changes, variable) in configured::WRONG {
        let error = InProcess::new(&configured::variables(changes)).err().unwrap();
        assert!(error.variable.starts_with(variable), "{changes:?}: {error}");
    }
}

#[test]
fn checks_are_logged_with_their_reason() {
    let service = configured(&[("LOG_CHECKS", "all")]);
    catalogue::publish(&service, 1);
    for (persona, status, reason) in
        [("subscriber", 200, "license"), ("never-bought", 402, "no_grant"), ("expired-token", 401, "expired")]
    {
        let token = service.token(persona);
        service.send(&Wire::get("/items/5101/access").bearer(&token));
        let lines = service.app.platform().memory_log().take();
        let line = lines.iter().find(|line| line.contains(&format!(r#""status":{status},"#)));
        let line = line.unwrap_or_else(|| panic!("{persona}: {lines:?}"));
        assert!(line.contains(&format!(r#""reason":"{reason}""#)), "{persona}: {line}");
        assert!(!lines.concat().contains(&token), "{persona}: a token in the log");
    }
}

#[test]
fn tokens_of_every_algorithm() {
    println!("{} tokens", tokens::run(&InProcess::new(&tokens::variables()).unwrap()));
}

#[test]
fn an_upload_that_breaks_off_is_not_stored() {
    let service = service();
    let published = catalogue::publish(&service, 1);
    let (name, object) = &published.built.objects[0];
    let store = service.app.platform().store();
    store.remove(&name.to_string());
    let wire =
        Wire { body: Payload::Interrupted(object.clone()), ..Wire::new("PUT", &format!("/snapshot/{name}")) };
    let answer = service.send(&wire.bearer(&issuers::publisher_token(service.now() + 60)));
    assert_eq!((answer.status, store.peek(&name.to_string())), (422, None));
}
