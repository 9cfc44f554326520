use super::*;

fn names(scale: Scale, only: &[&str]) -> Vec<String> {
    let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
    chosen(scale, &only).unwrap().into_iter().map(|scenario| scenario.name).collect()
}

#[test]
fn growth_is_chosen_as_a_whole_and_others_by_name() {
    assert_eq!(names(Scale::FULL, &["items", "hot"]), ["hot", "items"]);
    let growth = names(Scale::FULL, &["growth"]);
    assert!(growth.iter().all(|name| name.starts_with("growth-")), "{growth:?}");
    assert!(growth.contains(&"growth-tokens-8000".to_owned()), "{growth:?}");
    assert!(growth.contains(&"growth-customers-100000".to_owned()), "{growth:?}");
    assert_eq!(names(Scale::FULL, &["growth-tokens-1"]), ["growth-tokens-1"]);
    assert_eq!(names(Scale::FULL, &["playback"]), ["playback-first", "playback-repeated"]);
    assert!(names(Scale::FULL, &["cold"]).is_empty());
    let error = chosen(Scale::FULL, &["hat".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("hot, hot-rs256") && error.contains("playback, batch, growth, cold"), "{error}");
    assert_eq!(names(Scale::FULL, &["batch", "rpc"]), ["rpc", "batch-1", "batch-10", "batch-100"]);
}

#[test]
fn every_scenario_has_known_subjects_and_no_more_customers_than_the_snapshot() {
    for scale in [Scale::SMOKE, Scale::QUICK, Scale::FULL] {
        assert_eq!(scale.growth_customers.last(), Some(&scale.customers));
        for scenario in all(scale) {
            for name in scenario.subjects {
                assert!(SUBJECTS.iter().any(|it| it.name == *name), "{}: {name}", scenario.name);
            }
            assert!(scenario.setting.customers <= scale.customers, "{}", scenario.name);
        }
    }
}

#[test]
fn each_signature_has_gone_when_its_turn_comes_again() {
    for scale in [Scale::QUICK, Scale::FULL] {
        let all = all(scale);
        let first = all.iter().find(|scenario| scenario.name == "playback-first").unwrap();
        // Each signature that comes in between takes one of the places: the share that is left is e^-7, 0.1 %.
        assert!(first.tokens * first.items >= 7 * admit::limits::SIGNATURES_MAX as u64);
        assert_eq!(first.list()["more"], json!(["jw", "mux"]));
        let files = first.subjects(&SUBJECTS).into_iter().map(|(_, subject)| first.file(&subject));
        let files: BTreeSet<_> = files.collect();
        let expected = ["playback-first.jw.tsv", "playback-first.mux.tsv", "playback-first.tsv"];
        assert!(files.iter().eq(expected), "{files:?}");
    }
}

#[test]
fn what_calls_admit_runs_beside_it() {
    for scenario in all(Scale::FULL) {
        let subjects = scenario.subjects(&SUBJECTS);
        let calls = subjects.iter().any(|(_, subject)| subject.calls.is_some());
        assert!(!calls || scenario.subjects.contains(&"admit"), "{}", scenario.name);
    }
}

#[test]
fn the_floor_takes_part_twice_where_there_is_one() {
    let of = |name: &str| {
        let scenario = all(Scale::FULL).into_iter().find(|scenario| scenario.name == name).unwrap();
        let names = scenario.subjects(&SUBJECTS).into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(of("hot-es256"), ["floor", "floor again", "admit", "admit-against", "plain-cached", "hono"]);
    assert_eq!(of("first-check").first().map(String::as_str), Some("admit"));
    assert!(of("evening").contains(&"admit-unconfirmed".to_owned()));
    assert!(!of("denied").contains(&"admit-unconfirmed".to_owned()));
}
