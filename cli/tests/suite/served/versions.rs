//! The edge's comparison of versions, page by page, is that of `admit diff`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Subject;

/// A small generator of numbers (SplitMix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        admit_snapshot::key::mix(self.0) % end
    }
}

/// Customers with their accesses and licences, and items with their titles.
#[derive(Clone, Default)]
struct World {
    customers: BTreeMap<u64, Vec<Value>>,
    licensed: BTreeMap<u64, bool>,
    items: BTreeMap<u64, u64>,
}

impl World {
    fn customer(&self, id: u64) -> Value {
        let license = json!([{
            "license_id": "3a124c64-7e02-4f05-b7c1-dce27f7695f5", "license_type": "SINGLE", "name": "All",
            "status": if self.licensed.get(&id) == Some(&true) { "ACTIVE" } else { "CANCELLED" },
            "renew_status": "CANCEL", "interval_unit": "MONTHS", "interval_length": 1, "trial": false, "date_added": 1_700_000_000
        }]);
        let licenses = if self.licensed.contains_key(&id) { license } else { json!([]) };
        json!({
            "type": "customer", "namespace": "vendor", "subject": format!("c{id}"), "id": id, "merchant_id": 21,
            "uuid": format!("11a7ed90-65d3-4ee2-9d91-{id:012x}"), "accesses": self.customers[&id], "licenses": licenses,
        })
    }

    fn lines(&self) -> String {
        let mut lines = vec![
            json!({"type": "merchant", "id": 21, "uuid": "e5ac2013-8d10-42ba-abb5-291c5201cea8"}),
            json!({"type": "app", "id": "tv", "merchant_id": 21, "plan_id": "p", "clients": []}),
            json!({
                "type": "license", "id": "3a124c64-7e02-4f05-b7c1-dce27f7695f5", "app_id": "tv", "name": "All", "internal_id": "L1",
                "status": "live", "item_ids": [33]
            }),
        ];
        lines.extend(self.items.iter().map(|(id, title)| {
            json!({
                "type": "item", "id": id, "merchant_id": 21, "title": format!("Film {title}"), "is_active": true,
                "access_control_type": {"id": 4, "name": "Paid", "auth": true},
                "item_type": {"id": 44, "name": "brightcove_asset", "content_type": "ovp", "host": "inplayer", "description": "OVP asset"},
                "created_at": 1_700_000_000, "updated_at": 1_700_000_000
            })
        }));
        lines.extend(self.customers.keys().map(|id| self.customer(*id)));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Changes some of everything. Returns the customers that changed or are gone.
    fn churn(&mut self, random: &mut Random, customers_max: u64, count: usize) -> Vec<u64> {
        let mut touched = Vec::new();
        for _ in 0..count {
            let id = 1 + random.below(customers_max);
            touched.push(id);
            let accesses = self.customers.entry(id).or_default();
            match random.below(5) {
                0 => {
                    self.customers.remove(&id);
                    self.licensed.remove(&id);
                }
                1 => {
                    self.licensed.insert(id, random.below(2) == 0);
                }
                2 => drop(accesses.pop()),
                _ => accesses.push(json!({
                    "id": 1_000_000 + random.below(1_000_000), "item_id": 33, "created_at": 1_700_000_000,
                    "expires_at": 1_900_000_000 + random.below(1_000_000)
                })),
            }
        }
        touched
    }
}

impl Subject {
    /// All pages of a comparison: each kind's changes and their numbers, and how many pages there were.
    fn pages(&self, from: &str, to: &str) -> ([Value; 2], usize) {
        let mut sums = ["customers", "items"].map(|_| ([0_u64; 3], Vec::new()));
        let (mut token, mut count) = (String::new(), 0);
        loop {
            let path = format!("/snapshot/diff?from={from}&to={to}&page_token={token}");
            let (status, body) = self.request("GET", &path, &self.token, &[]);
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let page: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(page.get("before").is_some(), count == 0, "{from} {to}");
            for (tree, (counts, changes)) in ["customers", "items"].into_iter().zip(&mut sums) {
                for (count, how) in counts.iter_mut().zip(["added", "removed", "changed"]) {
                    *count += page[tree][how].as_u64().unwrap();
                }
                changes.extend(page[tree]["changes"].as_array().unwrap().iter().cloned());
            }
            count += 1;
            token = page["page"]["next_token"].as_str().unwrap().to_owned();
            if token.is_empty() {
                let shown = sums.map(|(counts, changes)| json!({"counts": counts, "changes": changes}));
                return (shown, count);
            }
            assert!(count < 1_000, "the pages end");
        }
    }

    /// What `admit diff` shows, in the same form.
    fn diff(&self, from: &str, to: &str) -> [Value; 2] {
        let report = self.json(&["diff", from, to, "--list", "1000000"]);
        ["customers", "items"].map(|tree| {
            let counts = ["added", "removed", "changed"].map(|how| report[tree][how].clone());
            json!({"counts": counts, "changes": report[tree]["changes"]})
        })
    }
}

#[test]
fn all_pages_of_a_comparison_are_what_admit_diff_shows() {
    let subject = Subject::new("service-versions");
    let mut random = Random(7);
    let mut world = World { items: (33..60).map(|id| (id, id)).collect(), ..World::default() };
    world.churn(&mut random, 4_000, 6_000);
    subject.publish(&world.lines(), &["--seq", "1"]).ok();
    // Many more customers, so that the second version has more shards.
    world.churn(&mut random, 16_000, 16_000);
    world.items.insert(40, 1_000);
    world.items.remove(&41);
    world.items.insert(61, 61);
    subject.publish(&world.lines(), &["--seq", "2"]).ok();
    // Later changes are in the delta.
    let touched = world.churn(&mut random, 16_000, 50);
    let touched: BTreeSet<_> = touched.into_iter().collect();
    let change = |(number, id): (usize, u64)| {
        let seq = 3 + number;
        let line = if world.customers.contains_key(&id) {
            json!({"seq": seq, "put": [world.customer(id)]})
        } else {
            json!({"seq": seq, "remove": [{"type": "customer", "namespace": "vendor", "subject": format!("c{id}")}]})
        };
        format!("{line}\n")
    };
    subject.bench.write("changes.ndjson", touched.into_iter().enumerate().map(change).collect::<String>());
    let changes =
        ["publish", "--changes", "changes.ndjson", "--to", &subject.service.url, "--key", "publisher.jwk"];
    subject.run(&changes).ok();

    let mut most = 0;
    for (from, to) in
        [("1", "2"), ("2", "1"), ("1", "head"), ("head", "1"), ("2", "head"), ("head", "2"), ("2", "2")]
    {
        let (pages, count) = subject.pages(from, to);
        let shown = subject.diff(from, to);
        assert!(pages == shown, "{from} {to}: {} and {}", pages[0]["counts"], shown[0]["counts"]);
        most = most.max(count);
        assert_eq!(from == to, pages[0]["changes"] == json!([]), "{from} {to}");
    }
    assert!(most > 3, "{most} pages");
    // The preview of a rollback is the comparison the other way round.
    let (preview, _) = subject.pages("head", "2");
    let (made, _) = subject.pages("2", "head");
    let sides = |changes: &Value, name: &str| -> Vec<Value> {
        changes["changes"].as_array().unwrap().iter().map(|change| change[name].clone()).collect()
    };
    assert_eq!(sides(&preview[0], "gained"), sides(&made[0], "lost"));
    let report: Value =
        serde_json::from_slice(&subject.request("GET", "/snapshot/report", &subject.token, &[]).1).unwrap();
    let shown = subject.json(&["inspect", "--key", "publisher.jwk"]);
    assert_eq!(report["history"], shown["history"]);
    assert_eq!(report["objects"]["delta"], shown["objects"]["delta"]);
    assert_eq!(report["objects"]["customers"]["shards"], shown["objects"]["customers"]["shards"]);
    for member in ["seq", "origin_seq", "as_of", "customers_in_shards", "items_in_shards", "delta_items"] {
        assert_eq!(report["head"][member], shown["head"][member], "{member}");
    }
}
