//! The bodies of JW's access bridge: the plans of a viewer or of an app.

use uuid::Uuid;

use super::{TooLarge, push, push_text, sized};
use crate::{
    limits::{ANSWER_MAX_BYTES, PLANS_MAX},
    snapshot::time::UnixSecs,
};

/// A plan, and when it ends if a viewer holds it.
pub type ShownPlan<'a> = (u128, &'a str, Option<UnixSecs>);

/// Room for the frame of a page and of each plan, beside its name.
const FRAME_BYTES: usize = 256;

/// A page with all `plans`. The snapshot knows neither which media a plan unlocks at JW nor the ids of payment providers,
/// so `external_providers` is empty.
///
/// # Errors
/// There are more than [`PLANS_MAX`], or the body would be too long.
pub fn plans<'a>(plans: impl Iterator<Item = ShownPlan<'a>>) -> Result<String, TooLarge> {
    let plans: Vec<_> = plans.take(PLANS_MAX + 1).collect();
    // An escaped character takes at most six bytes.
    let longest = plans.iter().map(|(_, name, _)| 6 * name.len() + FRAME_BYTES);
    let bytes = longest.fold(FRAME_BYTES, usize::saturating_add);
    if plans.len() > PLANS_MAX {
        return Err(TooLarge { bytes: ANSWER_MAX_BYTES.saturating_add(1) });
    }
    let mut body = sized(bytes)?;
    let count = i64::try_from(plans.len()).unwrap_or_default();
    push(&mut body, r#"{"total":"#, count);
    push(&mut body, r#","page":1,"page_length":"#, count.max(1));
    body.push_str(r#","plans":["#);
    for (position, (id, name, ends_at)) in plans.iter().enumerate() {
        body.push_str(if position == 0 { r#"{"id":""# } else { r#",{"id":""# });
        body.push_str(Uuid::from_u128(*id).hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        body.push('"');
        if let Some(ends_at) = ends_at {
            push(&mut body, r#","exp":"#, *ends_at);
        }
        body.push_str(r#","metadata":{"name":"#);
        push_text(&mut body, name);
        body.push_str(r#","access_model":"svod","external_providers":{}}}"#);
    }
    body.push_str("]}");
    Ok(body)
}
