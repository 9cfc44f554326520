//! `admit inspect` about items and their external ids, against the service itself.

use super::Subject;
use crate::bench::catalogue;

/// The catalogue with an `external_asset_id` and a media id for item 33, and item 34 with the same media.
fn with_external_ids() -> String {
    let fields = r#""content":"{\"video_id\":6301}","#;
    let item = catalogue(0).lines().last().unwrap().to_owned();
    let own = item.replace("\"title\"", &format!(r#""external_asset_id":"film/1",{fields}"title""#));
    let other = item.replace("\"id\":33", "\"id\":34").replace("\"title\"", &format!("{fields}\"title\""));
    [&catalogue(3).replace(&item, &own), other.as_str()].join("\n")
}

#[test]
fn items_are_shown_with_their_external_ids_and_found_by_them() {
    let subject = Subject::new("service-external-ids");
    subject.publish(&with_external_ids(), &[]).ok();
    let shown = subject.json(&["inspect", "--item", "34"]);
    let media = &shown["item"]["external_ids"][0];
    assert_eq!(
        (&media["id"], &media["from"], &media["names"]),
        (&"6301".into(), &"content".into(), &33.into())
    );
    let shown = subject.json(&["inspect", "--external", "brightcove_asset/film/1"]);
    let [item] = shown["external"]["items"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&item["id"], &item["external_ids"][0]["names"]), (&33.into(), &33.into()));
    assert_eq!(shown["objects"], serde_json::Value::Null, "the store is not described beside an item");
    let text = |args: &[&str]| {
        subject.run(&[&["inspect", "--from", &subject.service.url], args].concat()).ok().stdout
    };
    let shown = text(&["--item", "33"]);
    for line in [
        "Item       33 (Slack Water), from the shard\n",
        "External   brightcove_asset/film/1, its external_asset_id: leads to it\n",
        "External   brightcove_asset/6301, its content: leads to it\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(text(&["--item", "34"]).contains("its content: leads to item 33\n"));
    let shown = subject.json(&["inspect", "--external", "brightcove_asset/6301"]);
    let items = shown["external"]["items"].as_array().unwrap().iter().map(|item| &item["id"]);
    assert_eq!(items.collect::<Vec<_>>(), [33, 34], "the preferred one first");
    assert!(text(&["--item", "35"]).contains("Item       35 is not in the snapshot\n"));
    assert!(text(&["--external", "jw_asset/6301"]).contains("jw_asset/6301 names no active item\n"));
    let from = ["inspect", "--from", subject.service.url.as_str()];
    subject.run(&[&from[..], &["--external", "6301"]].concat()).failed(2, "expected TYPE/ID");
    subject
        .run(&[&from[..], &["--item", "33", "--customer", "vendor:c1"]].concat())
        .failed(2, "cannot be used with");
    subject.run(&["verify", "--from", &subject.service.url, "--key", "publisher.jwk"]).ok();
}
