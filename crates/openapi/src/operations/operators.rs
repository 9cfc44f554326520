//! What operators see of the snapshot.

use admit::api::{
    contract::{Methods, table},
    error::ApiError,
};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    parameters::{query, required_query},
    schema::{named, pattern, text},
};

const OPERATOR: Caller = Caller::Sample("operator");

pub fn group() -> Group {
    let report = Description::of(
        &table::REPORT,
        Methods::READ,
        "What this edge has and what its store has, by the code of `admit inspect`. It costs some 40 reads of the store.",
    )
    .answers("The report", named("SnapshotReport"))
    .example(Ask::new("report", OPERATOR, "/snapshot/report"));
    let which = || pattern("^(head|0|[1-9][0-9]{0,19})$");
    let diff = Description::of(
        &table::DIFF,
        Methods::READ,
        "By the code of `admit diff`. From `head` to an older version it is the preview of a rollback: `gained` would be granted again. A page may be empty, and not the last.",
    )
    .parameter(required_query("from", which(), "The version before: its `seq`, or `head`", "head"))
    .parameter(required_query("to", which(), "The version after: its `seq`, or `head`", "head"))
    .parameter(query("page_token", text(), "The `next_token` of an earlier answer about the same versions"))
    .answers("A page of changes", named("VersionChanges"))
    .errors(&[ApiError::INVALID_FROM, ApiError::INVALID_TO, ApiError::OTHER_ITEM_KEYS])
    .errors(&[ApiError::INVALID_DIFF_TOKEN, ApiError::ObjectNotFound])
    .example(Ask::new("no changes", OPERATOR, "/snapshot/diff?from=head&to=head"));
    Group {
        name: "Operations",
        text: "For operators and their tools, at the edge: the snapshot described, and two versions compared",
        operations: vec![report, diff],
    }
}
