//! The id of a request, by which logs and the audit trail are compared.

use uuid::Uuid;

use crate::limits::REQUEST_ID_MAX_BYTES;

/// The id that the edge sent, or a new UUID if it is missing or does not suit log lines and the audit trail.
pub fn of(sent: &str) -> String {
    let is_id = (1..=REQUEST_ID_MAX_BYTES).contains(&sent.len())
        && sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_id { sent.to_owned() } else { Uuid::new_v4().simple().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_edge_is_kept_and_any_other_replaced() {
        for id in ["6f2a-0000001f", "5b1d0a9e-7a30-4f3c-9a3e-2f0f6d3f8a11", "a.b_c"] {
            assert_eq!(of(id), id);
        }
        let long = "x".repeat(REQUEST_ID_MAX_BYTES + 1);
        for odd in ["", "a b", "a\"", "é", "a\u{fffd}", "a, b", &long] {
            let made = of(odd);
            assert!(made.len() == 32 && made != of(odd), "{odd}: {made}");
        }
    }
}
