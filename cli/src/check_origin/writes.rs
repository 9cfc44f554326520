//! A grant and its revocation. These are the only checks that change data.

use admit::api::contract::table;
use admit_snapshot::schema::{Change, Record};
use ureq::http::Method;

use super::{
    access::Api,
    body::wrong_moments,
    checks::{
        Check, WRITE_AGAIN, WRITE_BEFORE, WRITE_FEED, WRITE_FIELDS, WRITE_GRANT, WRITE_KEY, WRITE_NO_TOKEN,
        WRITE_NOTHING, WRITE_REFUSED, WRITE_REVOKE, WRITE_REVOKED, WRITE_ROLE, WRITE_SEQ, WRITE_TYPE,
        WRITE_VISIBLE,
    },
    client::{Ask, OriginAnswer, with_parameter},
    feed::Feed,
    report::ConformanceReport,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// How long the granted access lasts if it is not revoked.
const GRANT_SECS: i64 = 3_600;

/// The tokens and records of the test writes.
pub struct Writes<'w> {
    /// The merchant's bearer.
    pub merchant_token: &'w str,
    /// The customer's bearer.
    pub consumer_token: &'w str,
    /// The customer's number.
    pub consumer: i64,
    /// The item.
    pub item: i64,
    /// The fee by which access is granted; without it access is granted for an hour.
    pub fee: Option<i64>,
    /// The name of this run, which is part of its idempotency keys.
    pub run: &'w str,
}

impl Writes<'_> {
    /// Runs the checks of writes. `feed` is checked too, if there is one; `seq` is the export's.
    pub fn check(
        &self,
        report: &mut ConformanceReport,
        api: &mut Api<'_>,
        feed: Option<&mut Feed<'_>>,
        seq: Option<u64>,
    ) {
        if !self.is_denied(report, api, &WRITE_BEFORE) {
            return report.skip_rest("write.", "the customer must not have access before");
        }
        self.check_refused(report, api);
        if let Some(granted) = self.check_grant(report, api) {
            self.check_feed(report, feed, &granted);
            let revoked = self.check_revoke(report, api);
            check_seq(report, seq, &granted, revoked.as_ref());
        }
        report.skip_rest("write.", "access was not granted");
    }

    /// Sends writes that must be refused.
    fn check_refused(&self, report: &mut ConformanceReport, api: &mut Api<'_>) {
        let form = self.form(api, 0);
        self.expect(report, api, &WRITE_NO_TOKEN, None, (FORM, &form), 401);
        self.expect(report, api, &WRITE_ROLE, Some(self.consumer_token), (FORM, &form), 403);
        self.expect(report, api, &WRITE_TYPE, Some(self.merchant_token), ("text/plain", &form), 415);
        let url = self.grant_url(api);
        let without_item: Vec<_> = form.split('&').filter(|field| !field.starts_with("item_id=")).collect();
        let ask =
            Ask::new(Method::POST, &url).bearer(Some(self.merchant_token)).body(FORM, without_item.join("&"));
        match api.send(ask, "a grant without item_id") {
            Err(problem) => report.fail(&WRITE_FIELDS, problem),
            Ok(answer) => {
                let names = |answer: &OriginAnswer| {
                    let errors = answer.json()?.get("errors")?.as_object()?.clone();
                    Some(errors.keys().cloned().collect::<Vec<_>>().join(", "))
                };
                let names = names(&answer).unwrap_or_default();
                let problem = answer.other_than(&[422]).or_else(|| {
                    let is_named = names.split(", ").any(|name| name == "item_id");
                    (!is_named).then(|| format!("422, with errors of: {names}"))
                });
                report.judge(&WRITE_FIELDS, problem, format!("422: {names}"));
            }
        }
        if !self.is_denied(report, api, &WRITE_REFUSED) {
            // The remaining checks need a customer without access, even if a refused grant was made.
            let _ = self.revoke(api);
        }
    }

    /// Grants access, and sends the same grant again with the same key.
    fn check_grant(&self, report: &mut ConformanceReport, api: &mut Api<'_>) -> Option<Granted> {
        let (url, form, key) = (self.grant_url(api), self.form(api, 0), format!("check-origin-{}", self.run));
        let ask = |form: &str| {
            let ask = Ask::new(Method::POST, &url).bearer(Some(self.merchant_token));
            ask.key(&key).body(FORM, form)
        };
        let first = match api.send(ask(&form), "a grant") {
            Ok(answer) => answer,
            Err(problem) => {
                // The grant may have been made although the answer was lost.
                let _ = self.revoke(api);
                report.fail(&WRITE_GRANT, problem);
                return None;
            }
        };
        if let Some(problem) = first.other_than(&[201]) {
            if (200..300).contains(&first.status) {
                let _ = self.revoke(api);
            }
            report.fail(&WRITE_GRANT, format!("{problem}: {}", excerpt(&first)));
            return None;
        }
        let wrong = first.json().map(|body| wrong_moments(&body)).unwrap_or_default();
        let wrong = (!wrong.is_empty()).then(|| format!("201: {}", wrong.join("; ")));
        report.judge(&WRITE_GRANT, wrong, "201");
        api.expect_granted(report, &WRITE_VISIBLE, self.consumer_token, self.item);
        let again = match api.send(ask(&form), "the same grant") {
            Err(problem) => Some(problem),
            Ok(again) => difference(&first, &again),
        };
        let other = self.form(api, 60);
        match api.send(ask(&other), "another grant with the same key") {
            Err(problem) => report.fail(&WRITE_KEY, problem),
            Ok(answer) => report.judge(&WRITE_KEY, answer.other_than(&[422]), "422"),
        }
        Some(Granted { answer: first, again })
    }

    /// Looks for the grant in the feed.
    fn check_feed(&self, report: &mut ConformanceReport, feed: Option<&mut Feed<'_>>, granted: &Granted) {
        let well = "the same answer";
        let (Some(feed), Some(seq)) = (feed, seq_of(&granted.answer)) else {
            report.judge(&WRITE_AGAIN, granted.again.clone(), well);
            return report.skip(&WRITE_FEED, "no feed, or no Entitlement-Seq to look for");
        };
        let changes = match feed.changes(seq.saturating_sub(1), None) {
            Ok(changes) => changes,
            Err(problem) => {
                report.judge(&WRITE_AGAIN, granted.again.clone(), well);
                return report.fail(&WRITE_FEED, problem);
            }
        };
        let (own, later): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.seq <= seq);
        let problem = match own.as_slice() {
            [change] if change.seq != seq => {
                Some(format!("after={} begins with seq {}", seq.saturating_sub(1), change.seq))
            }
            [change] => self.problem_of(change),
            [] => Some(format!("no change with seq {seq}")),
            _ => Some(format!("{} changes up to seq {seq} after {}", own.len(), seq.saturating_sub(1))),
        };
        report.judge(&WRITE_FEED, problem, format!("seq {seq}"));
        let second = later.iter().find(|change| self.accesses(change).is_some());
        let second =
            second.map(|change| format!("the feed has a second change of the customer, seq {}", change.seq));
        report.judge(&WRITE_AGAIN, granted.again.clone().or(second), format!("{well}, and no second change"));
    }

    fn problem_of(&self, change: &Change) -> Option<String> {
        match self.accesses(change) {
            None => Some(format!("seq {} does not put customer {}", change.seq, self.consumer)),
            Some(items) if items.contains(&self.item) => None,
            Some(_) => Some(format!(
                "seq {} puts customer {} without an access to item {}",
                change.seq, self.consumer, self.item
            )),
        }
    }

    /// The items that the customer may play after a change, if the change is about this customer.
    fn accesses(&self, change: &Change) -> Option<Vec<i64>> {
        let mut accesses = change.put.iter().filter_map(|record| match record {
            Record::Customer(customer) if customer.id == self.consumer => Some(&customer.accesses),
            _ => None,
        });
        accesses.next().map(|accesses| accesses.iter().map(|access| access.item_id).collect())
    }

    /// Revokes access, and sends the same revocation again.
    fn check_revoke(&self, report: &mut ConformanceReport, api: &mut Api<'_>) -> Option<OriginAnswer> {
        let first = match self.revoke(api) {
            Ok(answer) => answer,
            Err(problem) => {
                report.fail(&WRITE_REVOKE, format!("{problem}. The access ends in an hour"));
                return None;
            }
        };
        report.judge(&WRITE_REVOKE, first.other_than(&[204]), "204");
        if !(200..300).contains(&first.status) {
            report.skip_rest("write.revoked", "access was not taken away");
            report.skip_rest("write.nothing-left", "access was not taken away");
            return None;
        }
        self.is_denied(report, api, &WRITE_REVOKED);
        match self.revoke(api) {
            Err(problem) => report.fail(&WRITE_NOTHING, problem),
            Ok(answer) => report.judge(&WRITE_NOTHING, answer.other_than(&[400]), "400"),
        }
        Some(first)
    }

    fn revoke(&self, api: &mut Api<'_>) -> Result<OriginAnswer, String> {
        let path = table::ACCESS.path(&[&self.item.to_string()]);
        let url = format!("{}{path}", api.base.trim_end_matches('/'));
        let url = with_parameter(&url, "consumer_id", self.consumer);
        let ask = Ask::new(Method::DELETE, &url).bearer(Some(self.merchant_token));
        api.send(ask, "DELETE /items/{id}/access")
    }

    /// Reports whether the customer is denied.
    fn is_denied(&self, report: &mut ConformanceReport, api: &mut Api<'_>, check: &Check) -> bool {
        api.expect(report, check, (Some(self.consumer_token), self.item), 402);
        !report.has_failed(check.id)
    }

    fn expect(
        &self,
        report: &mut ConformanceReport,
        api: &mut Api<'_>,
        check: &Check,
        token: Option<&str>,
        (content_type, body): (&'static str, &str),
        status: u16,
    ) {
        let url = self.grant_url(api);
        let ask = Ask::new(Method::POST, &url).bearer(token).body(content_type, body);
        match api.send(ask, "POST /items/access") {
            Err(problem) => report.fail(check, problem),
            Ok(answer) => report.judge(check, answer.other_than(&[status]), status.to_string()),
        }
    }

    fn grant_url(&self, api: &Api<'_>) -> String {
        format!("{}{}", api.base.trim_end_matches('/'), table::GRANT.path(&[]))
    }

    /// The body of a grant that ends `more` seconds later than the usual one.
    fn form(&self, api: &Api<'_>, more: i64) -> String {
        let (item, consumer) = (self.item, self.consumer);
        let until = api.now.saturating_add(GRANT_SECS + more);
        match self.fee {
            Some(fee) if more == 0 => format!("item_id={item}&consumer_id={consumer}&access_fee_id={fee}"),
            _ => format!("item_id={item}&consumer_id={consumer}&expires_at={until}"),
        }
    }
}

/// A grant that was made.
struct Granted {
    answer: OriginAnswer,
    /// The problem with the second, equal request.
    again: Option<String>,
}

/// How the answer to the repeated write differs, if it does.
fn difference(first: &OriginAnswer, again: &OriginAnswer) -> Option<String> {
    if again.status != first.status {
        return Some(again.describe());
    }
    let body = |answer: &OriginAnswer| answer.json().ok_or_else(|| answer.body.clone());
    if body(first) != body(again) {
        return Some(format!("another body: {} instead of {}", excerpt(again), excerpt(first)));
    }
    let (was, is) = (seq_of(first), seq_of(again));
    (was != is).then(|| format!("another Entitlement-Seq: {is:?} instead of {was:?}"))
}

fn check_seq(
    report: &mut ConformanceReport,
    exported: Option<u64>,
    granted: &Granted,
    revoked: Option<&OriginAnswer>,
) {
    let Some(exported) = exported else {
        return report.skip(&WRITE_SEQ, "no export says what the seq counts");
    };
    let header = |answer: &OriginAnswer| format!("{:?}", answer.header("entitlement-seq").unwrap_or("none"));
    let Some(grant) = seq_of(&granted.answer) else {
        return report.fail(&WRITE_SEQ, format!("with the grant: {}", header(&granted.answer)));
    };
    let problem = match revoked.map(|answer| (seq_of(answer), answer)) {
        _ if grant <= exported => {
            Some(format!("{grant} with the grant, and {exported} in the export before"))
        }
        Some((None, answer)) => Some(format!("with the revocation: {}", header(answer))),
        Some((Some(revoke), _)) if revoke <= grant => {
            Some(format!("{grant} with the grant, and {revoke} with the revocation after it"))
        }
        _ => None,
    };
    report.judge(&WRITE_SEQ, problem, format!("{grant} with the grant"));
}

fn seq_of(answer: &OriginAnswer) -> Option<u64> {
    answer.header("entitlement-seq")?.trim().parse().ok()
}

/// The beginning of a body, for messages.
fn excerpt(answer: &OriginAnswer) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(200).collect()
}
