//! Reads give the same answers as at the edge, for every viewer and item.

use std::rc::Rc;

use admit::{
    api::reply::Request,
    snapshot::{
        directory::Directory,
        index::Index,
        object::ObjectKind,
        version::{ObjectCache, Version},
    },
};
use admit_publish::build::build_ndjson;
use origin::{
    service::{config, edge::EdgeParts},
    settings::Settings,
};
use serde_json::{Map, Value, json};

use crate::support::{MERCHANT, MERCHANT_UUID, Origin, Response, samples};

/// An edge with the origin's export: the publisher's builder and the edge's service.
struct Edge {
    code: EdgeParts,
    version: Version,
    objects: ObjectCache,
}

impl Edge {
    fn of(origin: &Origin) -> Self {
        let export = origin.feed("/export").expect(200).text;
        let built = build_ndjson(export.as_bytes(), origin.now()).unwrap();
        let first: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
        let head = built.head(first["seq"].as_u64().unwrap(), origin.now());
        let (mut index, mut directory, mut objects) = (None, None, ObjectCache::new(usize::MAX));
        for (name, object) in built.objects {
            match name.kind {
                ObjectKind::Index => index = Some(Index::decode(object).unwrap()),
                ObjectKind::Directory => directory = Some(Directory::decode(&object).unwrap()),
                _ => objects.insert(name, object.into()),
            }
        }
        let version = Version {
            head,
            index: Rc::new(index.unwrap()),
            directory: Rc::new(directory.unwrap()),
            delta: None,
        };
        let Settings { clock, .. } = &origin.settings;
        let config = config(&origin.settings, &origin.connection(), origin.now()).unwrap();
        Self { code: EdgeParts::new(config, clock.clone()).unwrap(), version, objects }
    }

    fn ask(&mut self, path: &str, bearer: &str) -> (u16, String) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let authorization = format!("Bearer {bearer}");
        let request = Request {
            method: "GET",
            path,
            query,
            authorization: &authorization,
            ip_address: "127.0.0.1",
            country: "CH",
            ..Request::default()
        };
        let reply = self.code.answer(&request, &self.version, &mut self.objects, None);
        (reply.status, String::from_utf8_lossy(reply.body.as_bytes()).into_owned())
    }
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(samples(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every item, some unknown ids, and every read of each.
pub fn items() -> Vec<i64> {
    let items = lines("catalogue/04-items.ndjson").into_iter().filter(|line| line["type"] == "item");
    items.map(|item| item["id"].as_i64().unwrap()).chain([1, 999_999]).collect()
}

pub fn personas(origin: &Origin) -> Vec<(String, String, Value)> {
    let personas: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(samples("personas.json")).unwrap()).unwrap();
    let token = |persona: &Value| {
        let issuer = match persona["issuer"].as_str().unwrap() {
            "vendor" => "https://vendor.dev.admit.example",
            _ => "https://cognito.dev.admit.example/pool",
        };
        let mut claims: Map<String, Value> = persona["claims"].as_object().unwrap().clone();
        claims.insert("exp".into(), (origin.now() + persona["ttl_secs"].as_i64().unwrap()).into());
        origin.token_of(issuer, Value::Object(claims))
    };
    personas
        .iter()
        .map(|persona| (persona["name"].as_str().unwrap().to_owned(), token(persona), persona.clone()))
        .collect()
}

fn compare(edge: &mut Edge, origin: &Origin, path: &str, bearer: &str) -> Response {
    let answer = origin.ask("GET", path).bearer(bearer).header("x-country", "CH").send();
    let expected = edge.ask(path, bearer);
    assert_eq!((answer.status, &answer.text), (expected.0, &expected.1), "{path}");
    answer
}

#[test]
fn every_persona_and_item_as_at_the_edge() {
    let origin = Origin::start();
    let mut edge = Edge::of(&origin);
    let mut granted = 0;
    for (name, token, persona) in personas(&origin) {
        for item_id in items() {
            let answer = compare(&mut edge, &origin, &format!("/items/{item_id}/access"), &token);
            granted += usize::from(answer.status == 200);
            if persona["item_id"] == item_id {
                assert_eq!(persona["expect"]["access"], answer.status, "{name}");
            }
        }
        for path in [
            "/items/access/customers",
            "/items/access/customers?status=active&page=0&size=3",
            "/items/used-trial-period/5001",
            "/v3/sites/any/entitlements",
            "/v1/subscriptions",
        ] {
            compare(&mut edge, &origin, path, &token);
        }
        let answer = compare(&mut edge, &origin, "/license", &token);
        assert_eq!(persona["expect"]["license"], answer.status, "{name}");
    }
    assert!(granted > 50, "{granted}");
}

#[test]
fn everything_public_as_at_the_edge() {
    let origin = Origin::start();
    let mut edge = Edge::of(&origin);
    for id in items() {
        for path in [
            format!("/items/{id}"),
            format!("/items/{MERCHANT_UUID}/{id}"),
            format!("/v2/items/{MERCHANT_UUID}/{id}"),
            format!("/items/{id}/access-fees"),
            format!("/v2/items/{id}/access-fees"),
            format!("/v2/items/{id}/access-fees/7013"),
            format!("/items/packages/{id}"),
            format!("/items/packages/{id}/items"),
            format!("/items/packages/{id}/items?page=2&limit=3"),
        ] {
            compare(&mut edge, &origin, &path, "");
        }
    }
    for path in [
        "/items/abc",
        "/items/0/access-fees",
        "/items/packages/5001/items?limit=0",
        "/items/packages/5001/items?page=x",
        "/v2/items/5101/access-fees/x",
        "/v2/items/5101/access-fees/bulk",
        "/items/access",
        "/items/x/access",
        "/license",
        "/items/5101/access",
        "/v3/sites/fernhollow-main/plans",
        "/v3/sites/5hq2v8mfernhollowweb71c0/plans",
        "/v3/sites/any/plans",
        "/v3/sites/any/entitlements",
        "/items/access/customers",
    ] {
        compare(&mut edge, &origin, path, "");
    }
}

#[test]
fn the_edge_agrees_after_a_day_of_writes_too() {
    let origin = Origin::start();
    let until = origin.now() + 86_400;
    origin.write("POST", "/v2/items", "item_type=package&title=Bundle").expect(201);
    let bundle =
        origin.write("POST", "/v2/items", "item_type=package&title=Bundle+2").expect(201).json()["id"]
            .clone();
    let film =
        origin.write("POST", "/v2/items", "item_type=jw_asset&title=F&content=c").expect(201).json()["id"]
            .clone();
    let members = format!("add_asset_ids[]={film}&add_asset_ids[]=5101");
    origin.write("PATCH", &format!("/v2/items/packages/{bundle}/bulk"), &members).expect(201);
    let fee = "access_type_id=103&amount=3&currency=EUR&description=x";
    origin.write("POST", &format!("/v2/items/{film}/access-fees"), fee).expect(201);
    for consumer in [88_001, 88_005, 88_011] {
        let grant = format!("item_id={bundle}&consumer_id={consumer}&expires_at={until}");
        origin.write("POST", "/items/access", &grant).expect(201);
    }
    origin.write("DELETE", "/v2/items/5110", "").expect(201);
    origin.write("PATCH", "/v2/items/5102", "access_control_type_id=1").expect(201);
    let mut edge = Edge::of(&origin);
    let others = [&bundle, &film].map(|id| id.as_i64().unwrap());
    for (_, token, _) in personas(&origin) {
        for item_id in items().into_iter().chain(others) {
            compare(&mut edge, &origin, &format!("/items/{item_id}/access"), &token);
        }
    }
    for item_id in items().into_iter().chain(others) {
        compare(&mut edge, &origin, &format!("/items/packages/{item_id}/items"), "");
        compare(&mut edge, &origin, &format!("/items/{item_id}/access-fees"), "");
    }
}

#[test]
fn a_free_item_is_open_to_unknown_customers() {
    let origin = Origin::start();
    let path = "/v2/items/5101";
    origin.write("PATCH", path, "access_control_type_id=1").expect(201);
    let token = origin.token(json!({"sub": "new", "mid": MERCHANT, "aid": 7, "ctx": ["consumer"]}));
    let check =
        origin.ask("GET", "/items/5101/access").bearer(&token).header("x-country", "CH").send().expect(200);
    assert_eq!((&check.json()["customer_id"], &check.json()["country_code"]), (&json!(7), &json!("CH")));
}
