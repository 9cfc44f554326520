//! Forms as PHP reads them, and the cost of parsing one.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> Value {
    Value::Object(parse(text.as_bytes()).unwrap())
}

fn problems(bytes: &[u8]) -> Vec<(String, String)> {
    match parse(bytes).unwrap_err() {
        Refused::Fields(problems) => problems.into_iter().collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn nesting_as_in_php() {
    let table = [
        ("", json!({})),
        ("a=1&b=x+y%26z", json!({"a": "1", "b": "x y&z"})),
        ("metadata[foo]=bar&metadata[x]=", json!({"metadata": {"foo": "bar", "x": ""}})),
        ("ids[0]=7&ids[1]=8", json!({"ids": {"0": "7", "1": "8"}})),
        ("ids[]=7&ids[]=8&ids[5]=9&ids[]=10", json!({"ids": {"0": "7", "1": "8", "5": "9", "6": "10"}})),
        // Only decimal digits without leading zeros are positions.
        ("ids[07]=7&ids[+3]=8&ids[]=9", json!({"ids": {"07": "7", " 3": "8", "0": "9"}})),
        ("a[]=1&a=x&a[]=2", json!({"a": {"0": "2"}})),
        (
            "access_fees%5B0%5D%5Bamount%5D=2&access_fees%5B0%5D%5Bcurrency%5D=EUR",
            json!({"access_fees": {"0": {"amount": "2", "currency": "EUR"}}}),
        ),
        ("a=1&a=2", json!({"a": "2"})),
        ("a=1&a[b]=2", json!({"a": {"b": "2"}})),
        ("a[b]=2&a=1", json!({"a": "1"})),
        // Unbalanced brackets are part of a name.
        ("a[b=1&]c=2&[d]=3&e[f]g=4", json!({"a[b": "1", "]c": "2", "[d]": "3", "e[f]g": "4"})),
        ("caf%C3%A9=%F0%9F%A6%89", json!({"café": "🦉"})),
        ("\u{feff}title=x", json!({"title": "x"})),
        ("&&a&b=&=c&d=1=2&", json!({"a": "", "b": "", "d": "1=2"})),
        // An invalid escape stands for itself, as in browsers and PHP.
        ("a=100%&b=%zz&c=%4", json!({"a": "100%", "b": "%zz", "c": "%4"})),
    ];
    for (text, expected) in table {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_under_its_name() {
    let table: [(&[u8], &str, &str); 6] = [
        (b"title=Caf%E9", "title", "The title is not UTF-8: byte 4 is 0xE9"),
        (b"title=Caf\xe9&x=1", "title", "The title is not UTF-8: byte 4 is 0xE9"),
        (b"metadata[genre]=%C3%28", "metadata[genre]", "The metadata[genre] is not UTF-8: byte 1 is 0xC3"),
        (b"a=%ED%A0%80", "a", "The a is not UTF-8: byte 1 is 0xED"),
        (
            b"metadata[Caf%E9]=x",
            "metadata[Caf\u{fffd}]",
            "The name metadata[Caf\u{fffd}] is not UTF-8: byte 13 is 0xE9",
        ),
        (b"%FF=x", "\u{fffd}", "The name \u{fffd} is not UTF-8: byte 1 is 0xFF"),
    ];
    for (bytes, name, problem) in table {
        assert_eq!(problems(bytes), [(name.to_owned(), problem.to_owned())]);
    }
    let both = problems(b"title=%E9&content=%FF&item_type=x");
    assert_eq!(both.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["content", "title"]);
}

#[test]
fn the_last_parameter_of_a_name_counts() {
    let value = |query| parameter(query, "consumer_id").unwrap();
    assert_eq!(value("consumer_id=1&x=2&consumer_id=3"), Some("3".to_owned()));
    assert_eq!(value("consumer%5Fid=+7"), Some(" 7".to_owned()));
    assert_eq!(value("consumer_id"), Some(String::new()));
    assert_eq!(value("Consumer_id=1&x=%FF"), None);
    assert!(matches!(parameter("consumer_id=%FF", "consumer_id"), Err(Refused::Fields(_))));
    assert_eq!(parameters("b=1&a=+&b=2"), parameters("a=%20&b=2"));
    assert_ne!(parameters("a=1"), parameters("a=1&b"));
}

#[test]
fn unbounded_inputs_are_refused() {
    let deep = format!("a{}=1", "[b]".repeat(FORM_MAX_DEPTH));
    assert!(parse(deep.as_bytes()).is_ok());
    let deeper = format!("a{}=1", "[b]".repeat(FORM_MAX_DEPTH + 1));
    assert!(parse(deeper.as_bytes()).is_err());
    let many = "a&".repeat(FORM_MAX_FIELDS + 1);
    assert!(parse(many.as_bytes()).is_err());
}

#[test]
fn a_form_with_one_field_too_many_is_refused_before_any_is_read() {
    let form = |fields: usize| "a[]=x&".repeat(fields);
    assert!(parse_up_to(form(32).as_bytes(), 32).is_ok());
    let (bomb, mut answer) = (form(FORM_MAX_FIELDS), None);
    let steps = steps::of(|| answer = Some(parse_up_to(bomb.as_bytes(), 32)));
    assert!(
        matches!(answer, Some(Err(Refused::Fields(problems))) if problems["body"].contains("more than 32"))
    );
    assert!(steps <= 33 * 6, "{steps}");
}

/// Steps per byte of a form: each byte is read a few times, and each name is compared with the logarithm of
/// at most 20,000 names.
const STEPS_PER_BYTE: usize = 40;

#[test]
fn the_cost_of_a_form_follows_its_length() {
    let numbered =
        |name: &str| (0..FORM_MAX_FIELDS).map(|n| name.replace('#', &n.to_string())).collect::<Vec<_>>();
    let backwards: Vec<_> = (0..FORM_MAX_FIELDS).rev().map(|n| format!("a[{n}]")).collect();
    let mut gaps = numbered("a[]");
    gaps.insert(0, "a[7]".to_owned());
    gaps.truncate(FORM_MAX_FIELDS);
    for (label, names) in [
        ("a[]", numbered("a[]")),
        ("a[][]", numbered("a[][]")),
        ("a[][][][][]", numbered("a[][][][][]")),
        ("a[n]", numbered("a[#]")),
        ("a[n] backwards", backwards),
        ("a[] after a gap", gaps),
        ("names", numbered("name-#")),
        ("one name", numbered("a")),
        ("text and list by turns", (0..FORM_MAX_FIELDS).map(|n| ["a", "a[]"][n % 2].to_owned()).collect()),
        ("escapes", numbered("%61%5B%5D")),
        ("unreadable names", numbered("%FF#")),
        ("open brackets", numbered("a[[[[[[[[")),
    ] {
        let form = names.join("&");
        let steps = steps::of(|| parse(form.as_bytes()).is_ok());
        assert!(steps <= STEPS_PER_BYTE * form.len(), "{label}: {steps} steps for {} bytes", form.len());
        // Twice the fields cost little more than twice the steps.
        let half = names[..FORM_MAX_FIELDS / 2].join("&");
        let steps_of_half = steps::of(|| parse(half.as_bytes()).is_ok());
        assert!(steps <= steps_of_half * 5 / 2, "{label}: {steps_of_half}, then {steps}");
    }
    let deep = format!("a{}", "[b]".repeat(100_000));
    let steps = steps::of(|| parse(deep.as_bytes()).is_ok());
    assert!(steps <= STEPS_PER_BYTE * deep.len(), "{steps}");
}

#[test]
fn a_list_is_appended_to_as_cheaply_as_a_list_of_positions() {
    let form = |name: fn(usize) -> String| (0..FORM_MAX_FIELDS).map(name).collect::<Vec<_>>().join("&");
    let appended = form(|_| "a[]".to_owned());
    let placed = form(|n| format!("a[{n}]"));
    let [appended, placed] = [appended, placed].map(|form| steps::of(|| parse(form.as_bytes()).is_ok()));
    assert!(appended <= placed && placed <= 3 * appended, "{appended} and {placed}");
}

#[test]
fn each_list_counts_its_own_positions() {
    let form = "a[][]=1&a[][]=2&b[x][]=3&b[x][]=4&b[y][]=5";
    let expected = json!({
        "a": {"0": {"0": "1"}, "1": {"0": "2"}},
        "b": {"x": {"0": "3", "1": "4"}, "y": {"0": "5"}},
    });
    assert_eq!(parsed(form), expected);
    assert_eq!(parsed("a[4294967295]=1&a[]=2"), json!({"a": {"4294967295": "1", "4294967296": "2"}}));
}

proptest! {
    #[test]
    fn no_form_costs_more_than_its_length(
        names in proptest::collection::vec("[ab]{0,2}(\\[[0-9a]{0,2}\\]){0,7}|[a\\[\\]%0-9]{0,12}", 0..400),
    ) {
        let form = names.join("&");
        let steps = steps::of(|| parse(form.as_bytes()).is_ok());
        prop_assert!(steps <= STEPS_PER_BYTE * (form.len() + 1), "{} steps for {}", steps, form);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>(), text in "[a\\[\\]=&%0-9]{0,60}") {
        let _ = parse(&bytes);
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn escaped_text_comes_back_unchanged(pairs in proptest::collection::btree_map("[a-zé]{1,5}", any::<String>(), 0..8)) {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let expected: Map<_, _> = pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
        prop_assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }
}
