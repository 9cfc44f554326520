//! A model: after any sequence of changes, syncs and compactions, an edge reads what a publish of the whole would give it.

use super::*;

/// An event at the origin.
#[derive(Clone, Debug)]
enum Step {
    Buy(usize, i64, usize),
    Leave(usize),
    Retitle(i64, u8),
    Film(i64, u8, bool),
    Pack(i64, Vec<i64>),
    Unpack(i64),
    License(usize, Vec<i64>),
    Sync,
    BeginCompaction,
    EndCompaction,
}

fn step() -> impl Strategy<Value = Step> {
    let members = || proptest::sample::subsequence(vec![1_i64, 2, 3, 4], 0..=4);
    prop_oneof![
        4 => (0_usize..60, 1_i64..1_000, 0_usize..4).prop_map(|(number, at, count)| Step::Buy(number, at, count)),
        2 => (0_usize..60).prop_map(Step::Leave),
        1 => (1_i64..5, 0_u8..2).prop_map(|(id, title)| Step::Retitle(id, title)),
        2 => (1_i64..5, 0_u8..4, any::<bool>()).prop_map(|(id, film, is_active)| Step::Film(id, film, is_active)),
        1 => (100_i64..102, members()).prop_map(|(id, members)| Step::Pack(id, members)),
        1 => (100_i64..102).prop_map(Step::Unpack),
        1 => (900_usize..902, members()).prop_map(|(number, members)| Step::License(number, members)),
        3 => Just(Step::Sync),
        1 => Just(Step::BeginCompaction),
        1 => Just(Step::EndCompaction),
    ]
}

/// The origin's state: its lines by the names of their records.
struct Origin {
    lines: BTreeMap<String, Value>,
    seq: u64,
    unpublished: Vec<Change>,
}

impl Origin {
    fn put(&mut self, line: &Value) {
        self.seq += 1;
        let key = format!("{}{}{}", line["type"], line["id"], line["subject"]);
        self.lines.insert(key, line.clone());
        self.unpublished.push(parsed(self.seq, &[line], &[]));
    }

    fn remove(&mut self, key: &str, name: &Value) {
        self.seq += 1;
        self.lines.remove(key);
        self.unpublished.push(parsed(self.seq, &[], std::slice::from_ref(name)));
    }

    fn lines(&self) -> Vec<Value> {
        self.lines.values().cloned().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_edge_reads_what_a_publish_of_the_whole_would_give_it(steps in vec(step(), 1..60)) {
        let mut lines = fixed();
        lines.extend((1..5).map(|id| item(id, "t", &[])));
        lines.extend((0..30).map(|number| customer(number, 5, 1)));
        let mut origin = Origin { lines: BTreeMap::new(), seq: 1, unpublished: Vec::new() };
        for line in &lines {
            origin.put(line);
        }
        origin.unpublished.clear();
        let (mut edge, mut content) = Edge::of(&origin.lines());
        let mut compacting: Option<Content> = None;
        let mut synced = origin.lines();
        for step in steps {
            match step {
                Step::Buy(number, at, count) => origin.put(&customer(number, at, count)),
                Step::Leave(number) => {
                    let line = customer(number, 0, 0);
                    let key = format!("{}{}{}", line["type"], line["id"], line["subject"]);
                    origin.remove(&key, &json!({"type": "customer", "namespace": "v", "subject": line["subject"]}));
                }
                Step::Retitle(id, title) => origin.put(&item(id, ["t", "other"][usize::from(title)], &[])),
                Step::Film(id, film, is_active) => origin.put(&item_of_film(id, film, is_active)),
                Step::Pack(id, members) => origin.put(&item(id, "package", &members)),
                Step::Unpack(id) => origin.remove(&format!("\"item\"{id}null"), &json!({"type": "item", "id": id})),
                Step::License(number, members) => origin.put(&license(number, &members)),
                Step::Sync => {
                    let mut problems = Problems::default();
                    content.apply(&origin.unpublished, "feed", NOW, &mut problems).unwrap();
                    origin.unpublished.clear();
                    edge.sync(&content);
                    synced = origin.lines();
                }
                Step::BeginCompaction => compacting = Some(content.clone()),
                Step::EndCompaction => {
                    if let Some(then) = compacting.take() {
                        edge.compact(&mut content, &then);
                    }
                }
            }
            edge.assert_is(&synced);
        }
    }
}
