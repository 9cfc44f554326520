//! Reads whole numbers as peers write them: `7`, `7.0`, `"7"`.
//!
//! JSON has one kind of number, and some peers put numbers into quotes or write them as floats. All of these
//! spellings name one integer, so every reader of foreign JSON or form text takes them through this module.
//!
//! ```
//! use admit_snapshot::number;
//! use serde_json::json;
//!
//! assert_eq!(number::whole(&json!("5101")), Some(5101));
//! assert_eq!(number::whole(&json!(5101.0)), Some(5101));
//! assert_eq!(number::whole(&json!(5101.5)), None);
//! ```

use serde_json::{Number, Value};

/// Floats up to 2^53 name one integer each. Beyond that, neighbouring integers share a float.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The integer that a JSON value names: a number, or text that holds nothing but decimal digits with an optional
/// minus sign. `None` for every other value.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => whole_number(number),
        Value::String(text) => whole_text(text),
        _ => None,
    }
}

/// The integer that a JSON number names. A float counts if it has no fraction and is exact.
#[must_use]
pub fn whole_number(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| number.as_f64().and_then(whole_float))
}

/// The integer that a float names: no fraction, at most 2^53 in size.
#[must_use]
pub fn whole_float(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the guard admits exact integers only")]
    (float.fract() == 0.0 && float.abs() <= FLOAT_EXACT_MAX).then_some(float as i64)
}

/// The integer in a text of decimal digits with an optional minus sign. Blanks around it are ignored.
#[must_use]
pub fn whole_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    // `str::parse` also takes a plus sign, which a form's blank may once have been.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spellings_of_one_integer_are_read() {
        for value in [json!(7), json!(7.0), json!("7"), json!(" 7 "), json!(0.7e1), json!("007")] {
            assert_eq!(whole(&value), Some(7), "{value}");
        }
        assert_eq!(whole(&json!(-7.0)), Some(-7));
        assert_eq!(whole(&json!(i64::MAX)), Some(i64::MAX));
        assert_eq!(whole(&json!(i64::MIN.to_string())), Some(i64::MIN));
    }

    #[test]
    fn other_values_are_not_integers() {
        let others = [
            json!(7.5),
            json!("7.5"),
            json!("7.0"),
            json!("+7"),
            json!(""),
            json!("x"),
            json!(null),
            json!(true),
            json!([7]),
            json!({"7": 7}),
            json!(u64::MAX),
            json!(1e300),
            json!("9223372036854775808"),
        ];
        for value in others {
            assert_eq!(whole(&value), None, "{value}");
        }
        assert_eq!(whole_float(f64::NAN), None);
        assert_eq!(whole_float(f64::INFINITY), None);
    }
}
