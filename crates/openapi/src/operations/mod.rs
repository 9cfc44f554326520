//! What each operation is, beside its row of the table.

mod authzen;
mod catalogue;
mod checks;
mod holdings;
mod operators;
mod origin;
mod playback;
mod store;
mod support;
mod writes;

use crate::describe::Description;

/// Operations that readers look for in one place.
pub struct Group {
    /// The tag.
    pub name: &'static str,
    /// The tag's description.
    pub text: &'static str,
    pub operations: Vec<Description>,
}

/// Every group, in the order in which they are documented.
pub fn all() -> Vec<Group> {
    vec![
        checks::group(),
        playback::group(),
        authzen::group(),
        holdings::group(),
        catalogue::group(),
        writes::group(),
        writes::sign_ins(),
        support::group(),
        operators::group(),
        store::group(),
        origin::group(),
    ]
}
