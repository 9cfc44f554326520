//! The answers to writes.

use admit_testing::http::{Request, Response};
use serde_json::json;

use super::{
    BUYER, BUYER_ID, ITEM, MERCHANT, Shared, State,
    world::{buyer, stranger},
};

impl Shared {
    /// Grants the buyer an access.
    pub(super) fn grant(&self, state: &mut State, request: &Request) -> Response {
        state.writes += 1;
        match request.bearer() {
            Some(MERCHANT) => {}
            Some(BUYER) => {
                state.bought += u32::from(self.is("refused-is-done"));
                let status = if self.is("customers-are-unknown") { 404 } else { 403 };
                return self.error(status, "403", "Invalid privileges");
            }
            _ if self.is("write-without-token-is-forbidden") => {
                return self.error(403, "403", "Invalid privileges");
            }
            _ => return self.error(401, "401", "Invalid auth token"),
        }
        let is_form = request.header("content-type") == "application/x-www-form-urlencoded";
        if !is_form && !self.is("any-type-is-read") {
            let status = if self.is("other-types-are-wrong") { 400 } else { 415 };
            return self.error(status, "415", "Unsupported media type");
        }
        if !String::from_utf8_lossy(&request.body).contains("item_id=") {
            let field = if self.is("fields-are-unnamed") { "422" } else { "item_id" };
            return self.error(422, field, "The item_id is required");
        }
        let key = request.header("idempotency-key");
        if let Some((sent, answer)) = state.keys.get(key).cloned() {
            let is_same = sent == request.body;
            if is_same && self.is("key-makes-another-change") {
                let put = buyer(state.bought);
                self.commit(state, &format!("\"put\":[{put}]"));
            }
            if self.is("key-takes-anything") || is_same && !self.is("key-is-made-again") {
                return answer;
            }
            if !is_same {
                return self.error(422, "Idempotency-Key", "Used for another request");
            }
        }
        state.bought += 1;
        state.last_access += 1;
        let put = buyer(state.bought).to_string();
        let put = if self.is("grant-is-not-in-the-feed") { "" } else { &put };
        let seq = self.commit(state, &format!("\"put\":[{put}]"));
        state.lags = self.is("grant-lags");
        let status = if self.is("grant-is-200") { 200 } else { 201 };
        let mut body = json!({"id": 700 + state.last_access});
        if self.is("grant-in-milliseconds") {
            body["expires_at"] = json!(1_893_456_000_000_i64);
        }
        let answer = Response::json(status, &body);
        let answer = if self.is("seq-is-kept-back") {
            answer
        } else {
            answer.header("Entitlement-Seq", seq.to_string())
        };
        if !key.is_empty() {
            state.keys.insert(key.to_owned(), (request.body.clone(), answer.clone()));
        }
        answer
    }

    /// Removes the buyer's accesses.
    pub(super) fn revoke(&self, state: &mut State, id: i64, query: &str) -> Response {
        state.writes += 1;
        let is_known = id == ITEM && query == format!("consumer_id={BUYER_ID}");
        if (!is_known || state.bought == 0) && !self.is("nothing-is-taken-away") {
            return self.error(400, "400", "Failed to remove item access");
        }
        state.bought = 0;
        let says_what_was = self.is("revocation-says-what-was") || self.is("busy-and-wrong");
        let mut put = buyer(u32::from(says_what_was));
        if self.is("revocation-cannot-be-applied") {
            put["merchant_id"] = json!(22);
        }
        let seq = self.commit(state, &format!("\"put\":[{put}]"));
        state.lags = self.is("revocation-lags");
        let seq = if self.is("seq-stands-still") { seq - 1 } else { seq };
        let status = if self.is("revocation-is-200") { 200 } else { 204 };
        Response::json(status, &json!({})).header("Entitlement-Seq", seq.to_string())
    }

    /// Whether other clients write while the origin is being checked.
    pub(super) fn is_busy(&self) -> bool {
        self.flaw.starts_with("busy")
    }

    /// A write of another client between two requests, if there are such: always, or a few times.
    pub(super) fn others_write(&self, state: &mut State) {
        if self.is("busy") || self.is("busy-and-wrong") || self.is("busy-at-first") && state.others < 12 {
            state.others += 1;
            let put = stranger(state.others);
            self.commit(state, &format!("\"put\":[{put}]"));
        }
    }

    fn commit(&self, state: &mut State, fields: &str) -> usize {
        let seq = state.changes.len() + 1;
        state.changes.push(format!("{{\"seq\":{seq},{fields}}}"));
        seq
    }
}
