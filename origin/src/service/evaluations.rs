//! Questions in the form of AuthZEN, answered from the database as it is now, as [reads](super::reads) are.

use std::rc::Rc;

use admit::{
    api::{
        authzen::{self, Api, Asked},
        error::ApiError,
        reply::Reply,
    },
    snapshot::time::UnixSecs,
    token::VerifiedToken,
};
use rusqlite::Connection;

use super::{
    concerned::Concerned,
    edge::EdgeParts,
    reads::{ReadError, version},
};
use crate::{
    db,
    wire::{Body, OriginError, Payload, Refused},
};

/// Reads the questions of a body.
///
/// # Errors
/// 400, 413 or 415 for a body that is not such questions.
pub fn asked(api: Api, payload: &Payload) -> Result<Asked, Refused> {
    authzen::check_headers(&payload.content_type, &payload.content_encoding)?;
    match &payload.body {
        Body::Whole(bytes) => Ok(api.read(bytes)?),
        Body::TooLarge => Err(ApiError::BodyTooLarge(payload.budget.bytes).into()),
        Body::Interrupted => Err(OriginError::BodyBrokeOff.into()),
    }
}

/// Answers the questions of the owner of a token at `now`, and returns the `seq` of the data. The caller completes the
/// reply's headers.
///
/// # Errors
/// If the database cannot be read.
pub fn answer(
    edge: &EdgeParts,
    connection: &Connection,
    token: &Rc<VerifiedToken>,
    asked: &Asked,
    now: UnixSecs,
) -> Result<(Reply, u64), ReadError> {
    let questions = edge.questions(token, asked, now);
    let checks = questions.concerned();
    let transaction = connection.unchecked_transaction()?;
    let seq = db::seq(&transaction)?;
    let checks = checks.iter().map(|(principal, item_ids)| (principal, item_ids.clone()));
    let Concerned { lines, .. } = Concerned::by_checks(&transaction, checks)?;
    drop(transaction);
    let (version, mut objects) = version(lines, seq, now)?;
    Ok((edge.answer_questions(&questions, &version, &mut objects), seq))
}
