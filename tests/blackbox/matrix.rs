//! Every sample viewer asks for every item on every read route.

use serde_json::{Value, json};

use super::{
    cases::head_problems,
    check::{Pages, error_body, problems},
    oracle::{Check, Oracle},
    personas::{self, Persona},
    subject::Subject,
    wire::{Answer, Wire},
};

/// The matrix for one subject.
pub struct Matrix<'a> {
    pub subject: &'a dyn Subject,
    pub oracle: Oracle<'a>,
    /// Whether the time of publishing is known to the second, so that all times can be compared. Behind
    /// `wrangler dev` it is not, and an answer takes 15 ms, so only a sample of the matrix is run.
    pub is_exact: bool,
    pub sent: usize,
}

impl Matrix<'_> {
    pub fn run(mut self) -> usize {
        for persona in personas::all() {
            self.license(persona);
            let mut ids = vec![persona.item_id];
            if self.is_exact {
                ids.extend(self.oracle.lines.items.keys().chain(&[5_999]));
            }
            for id in ids {
                self.access(persona, id);
            }
            let now = self.subject.now();
            let expected = match self.oracle.check(persona, persona.item_id, now) {
                Check::NotFound => 404,
                Check::Denied => 402,
                Check::Granted(_) => 200,
            };
            if persona.is_signed_in() {
                assert_eq!(expected, persona.access, "{}: the samples and the contract differ", persona.name);
            }
        }
        self.items();
        self.sent
    }

    fn ask(&mut self, wire: &Wire, at: &str) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{at}: {}", answer.text());
        answer
    }

    fn ask_with_head(&mut self, wire: &Wire, at: &str) -> Answer {
        let answer = self.ask(wire, at);
        self.sent += 1;
        let head = self.subject.send(&wire.head());
        assert_eq!(head_problems(wire, &answer, &head), [""; 0], "{at}");
        answer
    }

    fn access(&mut self, persona: &Persona, id: i64) {
        let at = format!("{} on {id}", persona.name);
        let wire = Wire::get(&format!("/items/{id}/access"))
            .bearer(&self.subject.token(&persona.name))
            .country("SE");
        let answer = self.ask(&wire, &at);
        let (status, body) = (answer.status, answer.json());
        if !persona.is_signed_in() {
            assert_eq!(status, 401, "{at}");
            return;
        }
        match self.oracle.check(persona, id, self.subject.now()) {
            Check::NotFound => {
                assert_eq!((status, body), (404, error_body(404, "Item not found", None)), "{at}");
            }
            Check::Denied => assert_eq!((status, body), (402, error_body(402, "No access", None)), "{at}"),
            Check::Granted(until) => {
                assert_eq!(status, 200, "{at}: {body}");
                self.granted(persona, id, until, &body, &at);
            }
        }
    }

    fn granted(&self, persona: &Persona, id: i64, until: i64, body: &Value, at: &str) {
        let item = self.oracle.item(id).unwrap();
        let customer = self.oracle.customer(persona);
        assert_eq!(body["account_id"], item.merchant_id, "{at}");
        if let Some(customer) = customer {
            assert_eq!(body["customer_id"], customer.id, "{at}");
            assert_eq!(body["customer_uuid"], customer.uuid.as_str(), "{at}");
        }
        if let Some(country) = self.subject.default_country() {
            assert!(body["country_code"] == "SE", "{at}: {} (not {country})", body["country_code"]);
        }
        assert!(body["id"].is_i64() && body["created_at"].is_i64(), "{at}");
        assert!(body["expires_at"].as_i64().unwrap() > self.subject.now(), "{at}");
        assert_eq!(body["item"]["content"], item.content.as_str(), "{at}");
        if self.is_exact {
            assert_eq!(body["expires_at"], until, "{at}");
            let mut expected = self.oracle.item_json(item);
            expected["content"] = item.content.as_str().into();
            assert_eq!(body["item"], expected, "{at}");
        }
    }

    fn license(&mut self, persona: &Persona) {
        let at = format!("licences of {}", persona.name);
        let wire = Wire::get("/license").bearer(&self.subject.token(&persona.name));
        let answer = self.ask_with_head(&wire, &at);
        assert_eq!(answer.status, persona.license, "{at}: {}", answer.text());
        if !persona.is_signed_in() {
            return;
        }
        let body = answer.json();
        let expected = self.oracle.listed(persona, self.subject.now());
        let items = body["items"].as_array().unwrap();
        let ranks: Vec<_> = items.iter().map(|entry| entry["license"]["rank"].as_i64().unwrap()).collect();
        assert!(ranks.is_sorted_by(|a, b| a >= b), "{at}: {ranks:?}");
        let mut actual: Vec<_> =
            items.iter().map(|entry| entry["license"]["id"].as_str().unwrap().to_owned()).collect();
        let mut expected: Vec<_> = expected.into_iter().map(|(id, _)| id).collect();
        actual.sort();
        expected.sort();
        assert_eq!(actual, expected, "{at}");
        for entry in items {
            let status = entry["item"]["status"].as_str().unwrap();
            assert!(["ACTIVE", "OVERDUE", "CANCELLED"].contains(&status), "{at}: {status}");
            assert!(entry["item"]["date_added"].as_str().unwrap().len() >= 20, "{at}");
        }
    }

    /// The public reads of every item.
    fn items(&mut self) {
        let items: Vec<_> = self.oracle.lines.items.values().cloned().collect();
        for item in items.iter().step_by(if self.is_exact { 1 } else { 10 }) {
            let id = item.id;
            let merchant = self.oracle.lines.merchants[&item.merchant_id].uuid.clone();
            let details = self.oracle.item_json(item);
            for path in [
                format!("/items/{id}"),
                format!("/items/{merchant}/{id}"),
                format!("/v2/items/{merchant}/{id}"),
            ] {
                self.public(&path, item.is_active, &details);
            }
            self.public(&format!("/items/packages/{id}"), item.is_active && item.is_package(), &details);
            let fees: Vec<_> = item.fees.iter().map(|fee| self.oracle.fee_json(item, fee)).collect();
            for path in [format!("/items/{id}/access-fees"), format!("/v2/items/{id}/access-fees")] {
                self.public(&path, item.is_active, &json!(fees));
            }
            for fee in &item.fees {
                let body = self.oracle.fee_json(item, fee);
                self.public(&format!("/v2/items/{id}/access-fees/{}", fee.id), item.is_active, &body);
            }
            let members: Vec<_> =
                item.item_ids.iter().map(|id| (*id, self.oracle.item(*id).unwrap().clone())).collect();
            let total = members.len();
            for limit in [1, 5, 100] {
                for page in 1..=total / limit + 2 {
                    let offset = (page - 1) * limit;
                    let shown =
                        members.iter().skip(offset).take(limit).filter(|(_, member)| member.is_active);
                    let collection: Vec<_> = shown.map(|(_, member)| self.oracle.item_json(member)).collect();
                    let body = json!({ "total": total, "page": page, "offset": offset, "limit": limit, "collection": collection });
                    let path = format!("/items/packages/{id}/items?page={page}&limit={limit}");
                    self.public(&path, item.is_active && item.is_package(), &body);
                }
            }
        }
    }

    fn public(&mut self, path: &str, is_there: bool, expected: &Value) {
        let answer = self.ask_with_head(&Wire::get(path), path);
        if !is_there {
            let not_found = (404, error_body(404, "Item not found", None));
            assert_eq!((answer.status, answer.json()), not_found, "{path}");
            return;
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("public, max-age=30"), "{path}");
        assert!(!answer.text().contains("\"content\":"), "{path} shows the content");
        if self.is_exact {
            assert_eq!(answer.json(), *expected, "{path}");
        }
    }
}
