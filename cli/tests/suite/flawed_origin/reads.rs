//! The answers to reads.

use admit_testing::http::{Request, Response};
use serde_json::{Value, json};

use super::{
    BUYER, BUYER_ID, ITEM, ORIGIN_TOKEN, OWNER, STRANGER, Shared, State,
    world::{access, buyer, customer, item, stranger},
};

impl Shared {
    pub(super) fn export(&self, state: &mut State, request: &Request) -> Response {
        if request.bearer() != Some(ORIGIN_TOKEN) {
            let for_all = self.is("export-for-all");
            return if for_all { Response::ndjson("") } else { self.error(401, "401", "Invalid auth token") };
        }
        state.exports += 1;
        let is_second = state.exports == 2;
        let mut item = item(if self.is("export-drifts") && is_second { "Ebb" } else { "Slack Water" });
        item["type"] = json!("item");
        let owned = json!({"id": 1, "item_id": ITEM, "created_at": 1_700_000_000});
        let seq = state.changes.len() - usize::from(self.is("export-seq-falls") && is_second);
        let mut lines = vec![
            json!({"type": "snapshot", "seq": seq}),
            json!({"type": "merchant", "id": 21, "uuid": "e5ac2013-8d10-42ba-abb5-291c5201cea8"}),
            item,
            customer("owner", 1, vec![owned]),
            stranger(state.others),
            buyer(state.bought),
        ];
        match self.flaw {
            "export-without-snapshot" => drop(lines.remove(0)),
            "export-in-milliseconds" => lines[2]["updated_at"] = json!(1_700_000_000_000_i64),
            "export-wrong-line" => lines[2]["title"] = json!(7),
            "export-dangling" => lines[2]["merchant_id"] = json!(22),
            "export-empty" => lines.truncate(1),
            _ => {}
        }
        let answer = Response::ndjson(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        match self.flaw {
            "export-down" => self.error(500, "500", "Oh"),
            "export-moved" => Response::json(301, &"{}").header("Location", "https://elsewhere.example/"),
            "export-is-a-page" => answer.without("Content-Type").header("Content-Type", "text/html"),
            "export-end-untold" => answer.without_length(),
            "export-breaks-off" => answer.cut_off(),
            _ => answer,
        }
    }

    pub(super) fn changes(&self, state: &State, request: &Request, after: usize) -> Response {
        if request.bearer() != Some(ORIGIN_TOKEN) && !self.is("feed-for-all") {
            return self.error(403, "403", "Invalid privileges");
        }
        let is_past = after == 0;
        match self.flaw {
            "feed-down" => return self.error(500, "500", "Oh"),
            "feed-past-unknown" if is_past => return self.error(404, "404", "Not found"),
            "feed-past-forgotten" if is_past => return Response::ndjson(""),
            _ => {}
        }
        if after > state.changes.len() && !self.is("feed-ahead-is-new") {
            return self.error(410, "410", "The history before is gone");
        }
        let mut lines: Vec<_> = state.changes.iter().skip(after).cloned().collect();
        if self.is_busy() {
            // The lines are written on request, with the record as it is now.
            for (seq, line) in (after + 1..).zip(&mut lines) {
                if line.contains(r#""subject":"stranger""#) {
                    *line = format!("{{\"seq\":{seq},\"put\":[{}]}}", stranger(state.others));
                }
            }
        }
        match self.flaw {
            "feed-in-milliseconds" if is_past => {
                lines[1] = r#"{"seq":2,"as_of":1700000000000}"#.to_owned();
            }
            "feed-gap" if is_past => drop(lines.remove(1)),
            "feed-wrong-line" if is_past => r#"{"seq":2,"puts":[]}"#.clone_into(&mut lines[1]),
            // The revocation is the fifth change.
            "feed-lags" => lines.truncate(4_usize.saturating_sub(after)),
            _ => {}
        }
        let mut body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if self.is("feed-cut") && is_past {
            body.truncate(body.len() - 3);
        }
        let answer = Response::ndjson(body);
        match self.flaw {
            "feed-breaks-off" if is_past => answer.cut_off(),
            "feed-is-untyped" => answer.without("Content-Type"),
            _ => answer,
        }
    }

    pub(super) fn access(&self, state: &mut State, request: &Request, id: i64) -> Response {
        let customer_id = match request.bearer() {
            None if self.is("no-token-is-forbidden") => return self.error(403, "403", "Invalid privileges"),
            Some(OWNER) => 1,
            Some(STRANGER) => 2,
            Some(BUYER) => BUYER_ID,
            Some(_) if self.is("any-token-is-known") => 2,
            _ => return self.error(401, "401", "Invalid auth token"),
        };
        let denied = self.error(402, "402", "No access");
        if id != ITEM {
            return if self.is("unknown-is-denied") {
                denied
            } else {
                self.error(404, "404", "Item not found")
            };
        }
        let mut holds = match customer_id {
            1 => !self.is("owner-is-denied"),
            2 if self.is("stranger-is-forbidden") => return self.error(403, "403", "Not entitled"),
            2 => self.is("stranger-is-granted"),
            _ => state.bought > 0 || self.is("buyer-has-it"),
        };
        if customer_id == BUYER_ID && std::mem::take(&mut state.lags) {
            holds = !holds;
        }
        if !holds {
            return denied;
        }
        let mut body = access(customer_id);
        match self.flaw {
            "numbers-are-text" => body["item"]["item_type"]["id"] = json!("44"),
            "ids-are-text" => body["customer_id"] = json!(customer_id.to_string()),
            "access-in-milliseconds" => body["expires_at"] = json!(1_893_456_000_000_i64),
            _ => {}
        }
        Response::json(200, &body)
    }

    pub(super) fn keys(&self) -> Response {
        let mut jwks: Value = serde_json::from_str(&self.jwks).unwrap();
        let key = jwks["keys"][0].clone();
        let keys = jwks["keys"].as_array_mut().unwrap();
        match self.flaw {
            "keys-are-gone" => return self.error(404, "404", "Not found"),
            "key-is-secret" => keys.push(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})),
            "key-is-unknown" => {
                keys.push(json!({"kty": "EC", "crv": "P-384", "alg": "ES384", "kid": "p"}));
            }
            "key-is-nameless" => drop(keys[0].as_object_mut().unwrap().remove("kid")),
            "key-is-listed-twice" => keys.push(key),
            "kid-names-two-keys" => {
                // RFC 8032 §7.1, TEST 1.
                let mut other = key;
                other["x"] = json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
                keys.push(other);
            }
            // A key for another purpose is not a problem.
            _ => keys.push(json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "e"})),
        }
        Response::json(200, &jwks)
    }
}
