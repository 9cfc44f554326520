//! Who asks a check: the part of a token that can make a difference to an answer.

use sha2::{Digest as _, Sha256};

use super::tokens::claim;
use crate::{
    snapshot::key::EntryKey,
    token::{Principal, VerifiedToken},
};

/// A check: who asks, and the item.
pub type AccessCheck = (EntryKey, i64);

/// Who asks, as far as it can make a difference to the upstream's answer: the customer, the issuer, which may speak for
/// some merchants only, the client, which has its app's licences, and what else the token says of the person: merchant,
/// account, roles and scopes. The upstream may know scopes that mean nothing here, so that they are taken from the token
/// itself.
pub fn asker(token: &VerifiedToken, authorization: &str) -> EntryKey {
    let Principal { client_id, merchant_id, merchant_uuid, account_id, roles, .. } = &token.principal;
    let scope = claim(authorization, "scope").map(|scope| scope.to_string()).unwrap_or_default();
    // A name that an absent claim cannot have, and lengths, so that no two tokens hash the same bytes.
    let text = |digest: Sha256, text: &str| {
        digest.chain_update((text.len() as u64).to_le_bytes()).chain_update(text.as_bytes())
    };
    let number = |digest: Sha256, number: Option<i64>| {
        digest.chain_update([u8::from(number.is_some())]).chain_update(number.unwrap_or(0).to_le_bytes())
    };
    let digest = Sha256::new()
        .chain_update(token.principal.customer_key.0)
        .chain_update((token.issuer as u64).to_le_bytes())
        .chain_update([u8::from(roles.consumer), u8::from(roles.merchant)]);
    let digest = text(digest, client_id.as_deref().unwrap_or_default());
    let digest = number(digest, *merchant_id);
    let digest = text(digest, merchant_uuid.as_deref().unwrap_or_default());
    let digest = number(digest, *account_id);
    let digest = text(digest, &scope).finalize();
    EntryKey(digest.first_chunk().copied().unwrap_or(token.principal.customer_key.0))
}
