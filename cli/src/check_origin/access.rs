//! Access checks, sent as the edge sends them: with the customer's own bearer.

use admit::api::contract::table;

use super::{
    body::{look_at_access, look_at_error},
    checks::{
        ACCESS_BAD_TOKEN, ACCESS_BODY, ACCESS_CACHING, ACCESS_DENIED, ACCESS_GRANTED, ACCESS_NO_TOKEN,
        ACCESS_UNKNOWN, Check, ERRORS_BODY,
    },
    client::{Ask, OriginAnswer, OriginClient},
    log::Log,
    report::ConformanceReport,
    strangers::GARBAGE,
};

/// An item that the origin presumably does not have: the largest 32-bit integer.
pub const NO_ITEM: i64 = 2_147_483_647;

/// The part of the origin's API that viewers and merchants use.
pub struct Api<'a> {
    /// Sends the requests.
    pub client: &'a OriginClient,
    /// The origin's URL.
    pub base: &'a str,
    /// The time of this run, in unix seconds.
    pub now: i64,
    errors: Log,
    caching: Log,
}

/// A customer who asks for an item.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The customer's bearer.
    pub token: String,
    /// The item's id.
    pub item: i64,
}

impl<'a> Api<'a> {
    /// The API of the origin at `base`.
    pub fn new(client: &'a OriginClient, base: &'a str, now: i64) -> Self {
        Self { client, base, now, errors: Log::default(), caching: Log::default() }
    }

    /// Sends a request. The body of an error answer is checked on the way.
    ///
    /// # Errors
    /// The origin did not answer.
    pub fn send(&mut self, ask: Ask<'_>, what: &str) -> Result<OriginAnswer, String> {
        let answer = self.client.send(ask)?;
        if (400..500).contains(&answer.status) {
            self.errors.seen(1);
            let looked = look_at_error(&answer);
            let at = format!("{} to {what}", answer.status);
            if !looked.problems.is_empty() {
                self.errors.problem(format!("{at}: {}", looked.problems.join("; ")));
            } else if !looked.oddities.is_empty() {
                self.errors.oddity(format!("{at}: {}", looked.oddities.join("; ")));
            }
        }
        Ok(answer)
    }

    /// Asks whether the customer with `token` may play `item`.
    ///
    /// # Errors
    /// The origin did not answer.
    pub fn access(&mut self, token: Option<&str>, item: i64) -> Result<OriginAnswer, String> {
        let path = table::ACCESS.path(&[&item.to_string()]);
        let url = format!("{}{path}", self.base.trim_end_matches('/'));
        let what = format!("GET {path}");
        let answer = self.send(Ask::get(&url).bearer(token), &what)?;
        self.caching.seen(1);
        if let Some(problem) = caching_problem(&answer) {
            self.caching.problem(format!("{} to {what}: {problem}", answer.status));
        }
        Ok(answer)
    }

    /// Reports whether an access check is answered with `status`.
    pub fn expect(
        &mut self,
        report: &mut ConformanceReport,
        check: &Check,
        asker: (Option<&str>, i64),
        status: u16,
    ) {
        let (token, item) = asker;
        match self.access(token, item) {
            Err(problem) => report.fail(check, problem),
            Ok(answer) => {
                let problem = answer.other_than(&[status]).map(|found| format!("item {item}: {found}"));
                report.judge(check, problem, format!("item {item}: {status}"));
            }
        }
    }

    /// Checks grants, denials and tokens. `any_item` is an item that exists.
    pub fn check(
        &mut self,
        report: &mut ConformanceReport,
        granted: &[Asker],
        denied: &[Asker],
        any_item: Option<i64>,
    ) {
        for asker in granted {
            self.expect_granted(report, &ACCESS_GRANTED, &asker.token, asker.item);
        }
        if granted.is_empty() {
            report.skip(&ACCESS_GRANTED, "no --granted TOKEN ITEM");
        }
        for asker in denied {
            self.expect(report, &ACCESS_DENIED, (Some(&asker.token), asker.item), 402);
        }
        if denied.is_empty() {
            report.skip(&ACCESS_DENIED, "no --denied TOKEN ITEM");
        }
        match granted.iter().chain(denied).next() {
            Some(asker) => {
                self.expect(report, &ACCESS_UNKNOWN, (Some(&asker.token), NO_ITEM), 404);
            }
            None => report.skip(&ACCESS_UNKNOWN, "neither --granted nor --denied"),
        }
        match granted.iter().chain(denied).map(|asker| asker.item).next().or(any_item) {
            Some(item) => {
                self.expect(report, &ACCESS_NO_TOKEN, (None, item), 401);
                self.expect(report, &ACCESS_BAD_TOKEN, (Some(GARBAGE), item), 401);
            }
            None => {
                for check in [&ACCESS_NO_TOKEN, &ACCESS_BAD_TOKEN] {
                    report.skip(check, "no item is known: name one with --granted or --denied");
                }
            }
        }
    }

    /// Reports whether access is granted, and whether the body has every field that players read.
    pub fn expect_granted(&mut self, report: &mut ConformanceReport, check: &Check, token: &str, item: i64) {
        let answer = match self.access(Some(token), item) {
            Ok(answer) => answer,
            Err(problem) => return report.fail(check, problem),
        };
        match answer.other_than(&[200]) {
            Some(problem) => report.fail(check, format!("item {item}: {problem}")),
            None => {
                report.pass(check, format!("item {item}: 200"));
                let looked = look_at_access(&answer, item, self.now);
                if !looked.problems.is_empty() {
                    report.fail(&ACCESS_BODY, looked.problems.join("; "));
                } else if !looked.oddities.is_empty() {
                    report
                        .warn(&ACCESS_BODY, format!("the edge corrects it, {}", looked.oddities.join("; ")));
                } else {
                    report.pass(&ACCESS_BODY, format!("item {item}: all fields"));
                }
            }
        }
    }

    /// Reports the findings that come from all answers together.
    pub fn conclude(&self, report: &mut ConformanceReport) {
        self.caching.conclude(report, &ACCESS_CACHING, "answers", "no access was checked");
        self.errors.conclude(report, &ERRORS_BODY, "errors", "there was no error");
    }
}

fn caching_problem(answer: &OriginAnswer) -> Option<String> {
    let header = answer.header("cache-control").unwrap_or_default();
    let has = |name: &str| header.split(',').any(|directive| directive.trim().eq_ignore_ascii_case(name));
    (!has("private") || !has("no-store")).then(|| format!("Cache-Control is {header:?}"))
}
