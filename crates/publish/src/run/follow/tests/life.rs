//! An origin whose data changes step by step.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// One step of the origin.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A customer holds this number of accesses.
    Set(u8, u8),
    /// A customer is removed.
    Remove(u8),
    /// The item gets another title.
    Rename,
    /// Nothing.
    Quiet,
    /// The changes so far are no longer kept.
    Forget,
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(id, accesses)| Step::Set(id, accesses)),
        2 => (0..6_u8).prop_map(Step::Remove),
        1 => Just(Step::Rename),
        2 => Just(Step::Quiet),
        1 => Just(Step::Forget),
    ]
}

/// The origin: its data, and its remaining steps.
#[derive(Default)]
pub struct Origin {
    /// The remaining steps.
    steps: Vec<Step>,
    /// The number of accesses of each customer.
    customers: BTreeMap<u8, u8>,
    titles: u8,
    /// How often the export was read.
    pub exports: u32,
    /// Changes, by the origin's count.
    changes: Vec<(u64, String)>,
    pub seq: u64,
    /// Whether the feed was answered as empty after the last step.
    pub is_told: bool,
}

impl Origin {
    /// An origin with four customers, each with one access, at its first change.
    pub fn new(steps: &[Step]) -> Self {
        let customers = (0..4).map(|id| (id, 1)).collect();
        Self { steps: steps.to_vec(), customers, seq: 1, ..Self::default() }
    }

    fn item(&self) -> String {
        let title = self.titles;
        format!(
            r#"{{"type":"item","id":33,"merchant_id":21,"title":"Slack Water {title}","is_active":true,"access_control_type":{{"id":4,"name":"Paid","auth":true}},"item_type":{{"id":44,"name":"brightcove_asset","content_type":"ovp","host":"inplayer","description":"OVP asset"}},"created_at":1700000000,"updated_at":1700000000}}"#
        )
    }

    fn customer(id: u8, accesses: u8) -> String {
        let accesses: Vec<_> =
            (1..=accesses).map(|n| format!(r#"{{"id":{n},"item_id":33,"created_at":1700000000}}"#)).collect();
        let accesses = accesses.join(",");
        format!(
            r#"{{"type":"customer","namespace":"vendor","subject":"c{id}","id":{id},"uuid":"11a7ed90-65d3-4ee2-9d91-{id:012x}","merchant_id":21,"accesses":[{accesses}]}}"#
        )
    }

    /// The whole of its data.
    pub fn export(&self) -> String {
        let mut lines = vec![
            format!(r#"{{"type":"snapshot","seq":{}}}"#, self.seq),
            r#"{"type":"merchant","id":21,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea8"}"#.to_owned(),
            self.item(),
        ];
        lines.extend(self.customers.iter().map(|(id, accesses)| Self::customer(*id, *accesses)));
        lines.join("\n") + "\n"
    }

    /// Commits a change.
    pub fn commit(&mut self, fields: &str) {
        self.seq += 1;
        self.changes.push((self.seq, format!(r#"{{"seq":{},{fields}}}"#, self.seq)));
    }

    /// Takes the next step.
    fn live(&mut self) {
        self.is_told = self.steps.is_empty();
        let Some(step) = (!self.is_told).then(|| self.steps.remove(0)) else { return };
        match step {
            Step::Set(id, accesses) => {
                self.customers.insert(id, accesses);
                self.commit(&format!(r#""put":[{}]"#, Self::customer(id, accesses)));
            }
            Step::Remove(id) => {
                self.customers.remove(&id);
                self.commit(&format!(
                    r#""remove":[{{"type":"customer","namespace":"vendor","subject":"c{id}"}}]"#
                ));
            }
            Step::Rename => {
                self.titles += 1;
                self.commit(&format!(r#""put":[{}]"#, self.item()));
            }
            Step::Quiet => {}
            Step::Forget => {
                // One more change, which is forgotten too: the follower does not have it.
                self.commit(r#""put":[]"#);
                self.changes.clear();
            }
        }
    }

    /// The status, the body, and the seconds that an answer takes.
    pub fn answer(&mut self, url: &str) -> (u16, String, u64) {
        let Some((_, after)) = url.split_once("after=") else {
            self.exports += 1;
            return (200, self.export(), 1);
        };
        let after: u64 = after.parse().unwrap();
        if after < self.seq - self.changes.len() as u64 {
            return (410, String::new(), 0);
        }
        let due: String = self
            .changes
            .iter()
            .filter(|(seq, _)| *seq > after)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        if due.is_empty() {
            self.live();
            // It waits as long as it was asked to.
            return (200, String::new(), 20);
        }
        (200, due, 0)
    }
}
