use super::*;
use crate::{
    change::parse,
    source::{Source, SpillPlan, Strictness},
};

const NOW: UnixSecs = 1_700_000_000;

fn batch(changes: u64, wrong: u64) -> Batch {
    let change = |seq| {
        let merchant = if seq == wrong { 99 } else { 21 };
        let line = format!(
            r#"{{"seq":{seq},"put":[{{"type":"customer","namespace":"v","subject":"s{seq}","id":{seq},"uuid":"11a7ed90-65d3-4ee2-9d91-4e1409678576","merchant_id":{merchant}}},{{"type":"app","id":"a{seq}","merchant_id":21,"plan_id":"p"}}]}}"#
        );
        parse(line.as_bytes()).unwrap()
    };
    Batch { changes: (1..=changes).map(change).collect(), ..Batch::default() }
}

fn content() -> Content {
    let merchant = r#"{"type":"merchant","id":21,"uuid":"11a7ed90-65d3-4ee2-9d91-000000000021"}"#;
    let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
    source.read("f", merchant.as_bytes()).unwrap();
    Content::built(source.catalogue).unwrap()
}

#[test]
fn what_comes_before_a_wrong_change_is_applied_and_nothing_else() {
    for changes in 0..8 {
        for wrong in 1..=changes + 1 {
            let (mut content, mut read) = (content(), batch(changes, wrong));
            apply(&mut content, &mut read, "feed", NOW, Strictness::Refuse).unwrap();
            let before = wrong.min(changes + 1) - 1;
            assert_eq!(read.changes.len() as u64, before, "{wrong} of {changes}");
            match read.end {
                Some(End::Wrong { seq, .. }) => assert_eq!(seq, wrong),
                end => assert!(end.is_none() && wrong > changes, "{wrong} of {changes}: {end:?}"),
            }
            assert_eq!(content.delta().customers.len() as u64, before);
            let mut only = self::content();
            apply(&mut only, &mut batch(before, 0), "feed", NOW, Strictness::Refuse).unwrap();
            assert_eq!((content.directory(), content.delta()), (only.directory(), only.delta()));
        }
    }
}
