//! The table of checks: what each expects of an origin, and what to change when it fails.

/// A check.
#[derive(Debug)]
pub struct Check {
    /// The name for programs: a group, a dot, and the check.
    pub id: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// The answer that is expected.
    pub expected: &'static str,
    /// What to change at an origin that answers otherwise.
    pub change: &'static str,
}

/// Declares each check as a constant, and `ALL`.
macro_rules! checks {
    ($($constant:ident $id:literal $name:literal $expected:literal $change:literal)+) => {
        $(pub const $constant: Check = Check { id: $id, name: $name, expected: $expected, change: $change };)+

        /// All checks, in the order of the report.
        pub const ALL: &[&Check] = &[$(&$constant),+];
    };
}

checks! {
    EXPORT_ANSWER "export.answer" "The export is answered"
        "200 to GET of the export, with the token"
        "Answer the export at the address given by --export, and let the bearer of --origin-token read it"
    EXPORT_ACCESS "export.access" "The export is kept from strangers"
        "401 or 403 without a token, and with a wrong one"
        "Ask for a bearer before you answer the export: it names every customer and what they hold"
    EXPORT_TYPE "export.type" "The export has the type of lines of JSON"
        "a Content-Type of lines of JSON, such as application/x-ndjson"
        "Send Content-Type: application/x-ndjson, so that no error page of a proxy passes for an export"
    EXPORT_END "export.end" "The end of the export can be recognised"
        "Content-Length or chunks, and all bytes that they promise"
        "Send Transfer-Encoding: chunked or a Content-Length, and break the connection off when an export fails: \
         whatever is missing from one that seems whole is taken away from the edge"
    EXPORT_LINES "export.lines" "Every line of the export can be read"
        "lines of docs/publish-schema.md"
        "Write the lines as docs/publish-schema.md describes them; `admit schema` prints the JSON Schema"
    EXPORT_SNAPSHOT "export.snapshot" "The export says up to where it is complete"
        "one line of the type snapshot, with seq"
        "Begin with {\"type\":\"snapshot\",\"seq\":N}, N being your count of committed changes in the transaction that reads the rest"
    EXPORT_BUILDS "export.builds" "A snapshot can be built from the export"
        "references that lead somewhere, at least one merchant, no record above the limits"
        "Export everything that is referred to, from one transaction"
    EXPORT_STABLE "export.stable" "Asked twice, the export is the same"
        "the same records, if the seq is the same"
        "Make the export a function of your data: no moment of the export and no order of the database in the \
         records, and one more on seq for whatever changes them"

    FEED_ACCESS "feed.access" "Changes are kept from strangers"
        "401 or 403 without a token, and with a wrong one"
        "Ask for a bearer before you answer changes: they name customers and what they hold"
    FEED_ANSWER "feed.answer" "Changes are answered"
        "200 to ?after=<seq of the export>, with the changes since, if there are any"
        "Answer GET <changes>?after=<seq> with 200 and one line for each change after it; nothing in the body if there are none"
    FEED_LINES "feed.lines" "Every line of the feed is a change"
        "lines as under Change feed in docs/publish-schema.md"
        "Write one JSON object a line for each committed change; `admit schema changes` prints the JSON Schema"
    FEED_ORDER "feed.order" "Changes come one after another"
        "seq after+1 in the first line, and one more in each line"
        "Give seq out in the transaction that makes the change, in the order of commits, and leave none out: a \
         change that does not concern the edge has its line too"
    FEED_END "feed.end" "No line breaks off at the end of a complete answer"
        "whole lines, and all bytes that Content-Length or chunks promise"
        "End an answer after a whole line. If you cannot, break the connection off"
    FEED_PAST "feed.past" "A reader from long ago is answered, or sent to the export"
        "every change from the first on, or 410"
        "Answer 410 if the log no longer has every change after the requested count; never leave changes out"
    FEED_AHEAD "feed.ahead" "A reader ahead of the origin is sent to the export"
        "410 to an after that lies ahead of the origin"
        "Answer 410 to an after above your own seq: after a restored backup edges would wait for ever for changes \
         that they think they have"
    FEED_WAIT "feed.wait" "A reader that asks to wait waits, and no longer"
        "an answer within the seconds of Prefer: wait=2, empty if nothing happened"
        "Wait for a change as long as the request's Prefer: wait says at most, then answer 200 with nothing; or \
         answer at once"
    FEED_QUIET "feed.quiet" "A feed without changes says that it is the feed"
        "Content-Type: application/x-ndjson or Entitlement-Seq with an empty answer"
        "Send Content-Type: application/x-ndjson also when there is nothing new, or Entitlement-Seq with your seq: \
         without either, a follower warns, and does not renew the age of the head"
    FEED_REPLAY "feed.replay" "The export and the changes after it give the next export"
        "the same records as in a new export"
        "Put the whole new state of every record that a change touches into its line, and name those that are gone"

    ACCESS_GRANTED "access.granted" "A customer with access is granted it"
        "200"
        "Answer 200 when the bearer's customer has access to the item now, from the database, not from a cache"
    ACCESS_BODY "access.body" "A granted access has every member that players read"
        "the fields of docs/api.md#access, with their types"
        "Send every field as docs/api.md#access has it, numbers as numbers and times as unix seconds: native apps fail on any other type"
    ACCESS_DENIED "access.denied" "A customer without access is denied it"
        "402"
        "Answer 402: players take any 2xx for granted, and log the customer out at 401 and 403"
    ACCESS_UNKNOWN "access.unknown-item" "An unknown item is not found"
        "404"
        "Answer 404 for an item that you do not know, if the token is good"
    ACCESS_NO_TOKEN "access.no-token" "A request without a token is refused"
        "401"
        "Answer 401 without an Authorization header"
    ACCESS_BAD_TOKEN "access.bad-token" "A request with an invalid token is refused"
        "401"
        "Answer 401 to a bearer that you have not issued"
    ACCESS_CACHING "access.caching" "No cache keeps answers that depend on the token"
        "Cache-Control: private, no-store"
        "Send Cache-Control: private, no-store with every answer to an access check: a denial that is kept outlives the purchase"

    EVALUATIONS_ANSWER "evaluations.answer" "Many checks are answered at once"
        "200 to POST /access/v1/evaluations, or 404, 405 or 501 where it has no such route"
        "Answer 200 with the decisions of docs/origin.md#many-questions-at-once, or 404 if you have no such route"
    EVALUATIONS_COUNT "evaluations.count" "Each question of many has a decision"
        "as many evaluations as questions"
        "Answer every question, also those about items that you do not know: the edge uses no answer with gaps"
    EVALUATIONS_ORDER "evaluations.order" "The decisions come in the order of the questions"
        "context.item.id with the item of the question in the same place"
        "Put {\"item\":{\"id\":…}} into the context of each decision, and keep the order of the questions"
    EVALUATIONS_AGREES "evaluations.agrees" "Many checks are decided as single ones"
        "the decisions of GET /items/{id}/access"
        "Decide by the same function and the same database: true with expires_at, false with a reason, and \
         unknown_item for items that you do not know"
    EVALUATIONS_STRANGERS "evaluations.strangers" "Many checks need the customer's own token"
        "401 without a token and with a wrong one, and no decision about another customer"
        "Verify the bearer as for a single check, and answer 403 about a customer who is not its owner"

    WRITE_BEFORE "write.before" "The customer of the test writes has no access yet"
        "402 to --consumer-token and --item"
        "Name a customer who has no access to the item: the test grants it, and takes all of it away again"
    WRITE_NO_TOKEN "write.no-token" "A write without a token is refused"
        "401"
        "Answer 401 to a write without an Authorization header"
    WRITE_ROLE "write.role" "Customers grant themselves nothing"
        "403 to a grant with the customer's token"
        "Answer 403 to a write with a token that is not a merchant's"
    WRITE_TYPE "write.type" "A body of another type is refused"
        "415 to Content-Type: text/plain"
        "Answer 415 to a write whose Content-Type is neither application/x-www-form-urlencoded nor application/json"
    WRITE_FIELDS "write.fields" "A field that is missing is named"
        "422, with item_id among errors"
        "Answer 422 with the names of wrong and missing fields as the keys of errors"
    WRITE_REFUSED "write.refused" "A refused write changes nothing"
        "402 to the customer still"
        "Change nothing in a write that you refuse"
    WRITE_GRANT "write.grant" "Access can be granted"
        "201 to POST /items/access"
        "Answer 201 once the access is committed"
    WRITE_VISIBLE "write.visible" "The very next check is granted"
        "200 to the customer"
        "Answer access checks from the database that writes are committed to, not from a replica or a cache"
    WRITE_AGAIN "write.again" "A write with the same Idempotency-Key is made once"
        "the first answer again, and no second change"
        "Keep the answer with the Idempotency-Key, in the transaction of the write, for 72 hours"
    WRITE_KEY "write.key" "An Idempotency-Key is for one request"
        "422 to another body with the same key"
        "Keep the request with the Idempotency-Key too, and answer 422 to any other request with that key"
    WRITE_FEED "write.feed" "The change of a write is in the feed"
        "one line with the write's seq, which puts the customer with the access"
        "Write the feed's line in the transaction of the change, with the same seq, and the customer as it is then"
    WRITE_REVOKE "write.revoke" "Access can be taken away"
        "204 to DELETE /items/{id}/access?consumer_id="
        "Answer 204 once the customer's accesses on the item are gone"
    WRITE_REVOKED "write.revoked" "The very next check is denied"
        "402 to the customer"
        "Answer access checks from the database that writes are committed to, not from a replica or a cache"
    WRITE_NOTHING "write.nothing-left" "Access that is already gone cannot be taken away"
        "400 to the same DELETE again"
        "Answer 400 when the customer has no access on the item"
    WRITE_SEQ "write.seq" "A write names its change"
        "Entitlement-Seq with both, above the export's, growing"
        "Send Entitlement-Seq with the seq of the change: a client that sends it back as Entitlement-Min-Seq gets no older answer"

    ERRORS_BODY "errors.body" "All errors have the one body"
        "{\"code\":<the status, a number>,\"message\":\"…\",\"errors\":{\"…\":\"…\"}}, application/json"
        "Send that body with every error: code a number, message and every value of errors a string. Some players look \
         at the body only"

    CLOCK "clock.agrees" "The origin's clock agrees with this machine's"
        "a Date header at most 5 s away from the time here"
        "Set both clocks by NTP: times in tokens and accesses are judged by the clock of the machine that reads them"

    KEYS_DOCUMENT "keys.document" "The issuer's keys can be fetched"
        "200 and a JWK set of at most 1 MiB"
        "Serve the keys at jwks_uri of /.well-known/openid-configuration, or at /.well-known/jwks.json"
    KEYS_ISSUER "keys.issuer" "The issuer has one name"
        "issuer in /.well-known/openid-configuration as in --issuer"
        "Use one spelling for issuer there, iss in tokens, and the edge's ISSUERS"
    KEYS_ALGORITHMS "keys.algorithms" "The edge can verify with the keys"
        "keys for RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA (Ed25519), RSA with 2048 to 4096 bits"
        "Sign with one of these algorithms, and publish no secret"
    KEYS_KIDS "keys.kids" "Each key has a name of its own"
        "a kid in each key, and one key for each kid"
        "Give each key a kid and put it into the header of tokens: without it the edge cannot choose a key while keys are rotated"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        let ids: BTreeSet<_> = ALL.iter().map(|check| check.id).collect();
        let names: BTreeSet<_> = ALL.iter().map(|check| check.name).collect();
        assert_eq!((ids.len(), names.len()), (ALL.len(), ALL.len()));
    }
}
