//! What operators see of the snapshot.

use serde_json::Value;

use crate::schema::{
    about, array, bounded, count, integer, named, object, one_of, only, or_null, text, time, uuid,
};

/// Most versions of a report, and most entries of a list of what a customer gained or lost.
const VERSIONS_MAX: usize = 10;
const LISTED_MAX: usize = 20;

pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "SnapshotReport",
            object(&[
                ("now", time("The edge's clock")),
                ("head_from", about(one_of(&["kv", "lane"]), "Where the head in use was read")),
                ("head", or_null(named("ReportedHead"))),
                ("kid", about(or_null(text()), "The key by which the stored head is signed, if it is known")),
                (
                    "stored",
                    or_null(object(&[
                        ("seq", count()),
                        ("as_of", integer()),
                        ("published_at", or_null(integer())),
                        ("problem", about(or_null(text()), "Why this edge refuses the stored head")),
                    ])),
                ),
                ("objects", or_null(objects())),
                ("history", history()),
                ("configuration", configuration()),
            ]),
        ),
        ("ReportedHead", head()),
        (
            "VersionChanges",
            object(&[
                ("before?", compared()),
                ("after?", compared()),
                (
                    "directory?",
                    object(&[("merchants", changed()), ("apps", changed()), ("licenses", changed())]),
                ),
                ("customers", with_changes(named("CustomerChange"))),
                ("items", with_changes(named("ItemChange"))),
                ("page", object(&[("next_token", about(text(), "Empty on the last page"))])),
            ]),
        ),
        (
            "CustomerChange",
            object(&[
                ("how", how()),
                ("id", integer()),
                ("uuid", uuid()),
                ("before?", or_null(held())),
                ("after?", or_null(held())),
                ("gained?", about(grants(), "What only the version after has")),
                ("lost?", about(grants(), "What only the version before has")),
            ]),
        ),
        ("ItemChange", object(&[("how", how()), ("id", integer()), ("title?", or_null(text()))])),
    ]
}

fn changed() -> Value {
    object(&[("added", count()), ("removed", count()), ("changed", count())])
}

fn head() -> Value {
    object(&[
        ("format", count()),
        ("aud", or_null(text())),
        ("seq", count()),
        ("origin_seq", about(count(), "How many of the origin's changes it has")),
        ("as_of", time("When it was true at the origin")),
        ("as_of_iso", text()),
        ("age_secs", integer()),
        ("changed_at", or_null(integer())),
        ("unchanged_secs", or_null(integer())),
        ("published_at", or_null(integer())),
        ("published_by", or_null(text())),
        ("customers", or_null(count())),
        ("items", or_null(count())),
        ("customers_in_shards", or_null(count())),
        ("items_in_shards", or_null(count())),
        ("delta_customers", or_null(changed())),
        ("delta_items", or_null(changed())),
        ("set_aside", about(or_null(count()), "How many of the origin's records were set aside")),
        ("revoked", about(count(), "How many revocations its denylist has")),
        ("signature", only("verified")),
    ])
}

fn objects() -> Value {
    let object_of = |more: &[(&str, Value)]| {
        let mut members = vec![("name", text()), ("bytes", count())];
        members.extend(more.iter().cloned());
        object(&members)
    };
    let sizes = || {
        object(&[
            ("places", count()),
            ("shards", or_null(count())),
            ("measured", count()),
            ("entries", count()),
            ("bytes", count()),
            ("smallest_bytes", or_null(count())),
            ("median_bytes", or_null(count())),
            ("largest_bytes", or_null(count())),
            ("histogram", array(object(&[("up_to_bytes", count()), ("shards", count())]))),
        ])
    };
    object(&[
        ("index", object_of(&[])),
        ("directory", object_of(&[])),
        (
            "delta",
            or_null(object_of(&[("budget_bytes", count()), ("customers", count()), ("items", count())])),
        ),
        ("pages", count()),
        ("customers", sizes()),
        ("items", sizes()),
    ])
}

fn history() -> Value {
    let version = object(&[
        ("seq", count()),
        ("origin_seq", count()),
        ("as_of", integer()),
        ("published_at", or_null(integer())),
        ("customers", or_null(count())),
        ("items", or_null(count())),
        ("set_aside", or_null(count())),
    ]);
    object(&[
        ("versions_total", or_null(count())),
        ("versions", bounded(version, 0, VERSIONS_MAX)),
        ("lease", or_null(object(&[("host", text()), ("until", text()), ("secs_left", integer())]))),
    ])
}

fn configuration() -> Value {
    let warning = object(&[("key", text()), ("problem", text()), ("change", text())]);
    object(&[
        ("warnings", about(array(warning), "Valid values that are probably a mistake")),
        ("unset", about(array(text()), "Variables and secrets without a value")),
    ])
}

fn compared() -> Value {
    object(&[
        ("aud", or_null(text())),
        ("denylist", count()),
        ("seq", count()),
        ("origin_seq", count()),
        ("as_of", integer()),
        ("published_at", or_null(integer())),
        ("customers", or_null(count())),
        ("items", or_null(count())),
        ("index_bytes", count()),
        ("directory_bytes", count()),
        ("delta_bytes", count()),
    ])
}

fn with_changes(change: Value) -> Value {
    object(&[("added", count()), ("removed", count()), ("changed", count()), ("changes", array(change))])
}

fn how() -> Value {
    one_of(&["added", "removed", "changed"])
}

fn held() -> Value {
    object(&[("accesses", count()), ("licenses", count())])
}

fn grants() -> Value {
    let dates = || [("starts_at", or_null(integer())), ("expires_at", or_null(integer()))];
    let access = [vec![("id", integer()), ("item_id", integer())], dates().to_vec()].concat();
    let license = [vec![("license_id", uuid()), ("status", text())], dates().to_vec()].concat();
    object(&[
        ("accesses", bounded(object(&access), 0, LISTED_MAX)),
        ("licenses", bounded(object(&license), 0, LISTED_MAX)),
        ("unlisted", count()),
    ])
}
