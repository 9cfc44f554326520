//! The table of endpoints.

use super::{Auth, Endpoint, Input, Kind, Methods, Operation, WriteAction};
use crate::token::Scope;

/// Scopes of requests that read the stored snapshot.
const TO_READ: Auth = Auth::Scopes(&[Scope::SnapshotRead]);
/// Scopes of requests that store something. A check of stored objects changes nothing, but only publishers need it, and
/// it makes the Worker hash the objects that the caller names.
const TO_STORE: Auth = Auth::Scopes(&[Scope::SnapshotWrite]);
/// Scopes of requests that delete something.
const TO_COLLECT: Auth = Auth::Scopes(&[Scope::SnapshotCollect]);
/// Scopes of requests about the lease and the list of garbage. Publisher and collector take the same lease, and a
/// publisher removes from the list the objects that it uses again.
const TO_STORE_OR_COLLECT: Auth = Auth::Scopes(&[Scope::SnapshotWrite, Scope::SnapshotCollect]);

const fn read(auth: Auth) -> Operation {
    Operation { methods: Methods::READ, auth, input: Input::None, kind: Kind::Read }
}

const fn write(methods: Methods, action: WriteAction) -> Operation {
    // DELETE has no body: no client sends one, and forwarding none rules out request smuggling.
    let input = if methods.intersects(Methods::DELETE) { Input::None } else { Input::Fields };
    Operation { methods, auth: Auth::Merchant, input, kind: Kind::Write(action) }
}

const fn playback() -> Operation {
    Operation { methods: Methods::READ, auth: Auth::Viewer, input: Input::None, kind: Kind::Playback }
}

const fn authzen(methods: Methods, auth: Auth, input: Input) -> Operation {
    Operation { methods, auth, input, kind: Kind::Authzen }
}

const fn support(methods: Methods, input: Input) -> Operation {
    Operation { methods, auth: Auth::Explainer, input, kind: Kind::Support }
}

const fn evaluation() -> Operation {
    Operation { methods: Methods::POST, auth: Auth::Asker, input: Input::Json, kind: Kind::Evaluation }
}

const fn sign_in(may_refresh: bool) -> Operation {
    let kind = Kind::SignIn { may_refresh };
    Operation { methods: Methods::POST, auth: Auth::None, input: Input::Fields, kind }
}

const fn publish(methods: Methods, auth: Auth) -> Operation {
    let has_body = methods.intersects(Methods::PUT.and(Methods::POST));
    let input = if has_body { Input::Bytes } else { Input::None };
    Operation { methods, auth, input, kind: Kind::Publish }
}

const fn at_the_origin(methods: Methods, auth: Auth, kind: Kind) -> Operation {
    Operation { methods, auth, input: Input::None, kind }
}

/// Declares the endpoints and the lists of them all, so that none can be left out. Each operation stands beside its
/// summary. Summaries are in a static of their own: the Worker does not read it, so the linker leaves it out of the Wasm.
macro_rules! endpoints {
    ($($name:ident: $($pattern:literal)|+ => [$($operation:expr => $summary:literal),+ $(,)?];)+) => {
        $(
            #[doc = concat!($("`", $pattern, "` "),+)]
            pub static $name: Endpoint =
                Endpoint { patterns: &[$($pattern),+], operations: &[$($operation),+] };
        )+

        /// Every endpoint of edge and origin, in the order in which they are documented.
        pub static ENDPOINTS: &[&Endpoint] = &[$(&$name),+];

        /// What each operation does, in the order of [`ENDPOINTS`] and of their operations.
        static SUMMARIES: &[&[&str]] = &[$(&[$($summary),+]),+];
    };
}

/// Every endpoint, and its operations with a summary of each: one line of plain English that begins with a verb.
pub fn described() -> impl Iterator<Item = (&'static Endpoint, Vec<(&'static Operation, &'static str)>)> {
    let rows = ENDPOINTS.iter().zip(SUMMARIES);
    rows.map(|(endpoint, summaries)| {
        (*endpoint, endpoint.operations.iter().zip(summaries.iter().copied()).collect())
    })
}

endpoints! {
    GRANT: "/items/access" => [
        write(Methods::POST, WriteAction::Grant) => "Grants a customer access to an item",
    ];
    ACCESS: "/items/{id}/access" => [
        read(Auth::Viewer) => "Tells whether the viewer may play the item now",
        write(Methods::DELETE, WriteAction::Revoke) => "Takes away a customer's accesses to the item",
    ];
    ACCESSES: "/access" => [
        Operation {
            methods: Methods::READ,
            auth: Auth::Viewer,
            input: Input::None,
            kind: Kind::Checks,
        } => "Tells of each item that `items` names whether the viewer may play it now",
    ];
    PLAYBACK: "/items/{id}/playback" => [
        playback() => "Signs the item's media, if the viewer may play the item now",
    ];
    SIGNED_URL: "/items/{id}/access/cloudfront" => [
        playback() => "Signs the URL of the item's media that `url` names, if the viewer may play the item now",
    ];
    MEDIA_TOKEN: "/v2/items/jw-media/token" => [
        playback() => "Signs a token for the media that `media_id` names, if the viewer may play its item now",
    ];
    EVALUATION: "/access/v1/evaluation" => [
        evaluation() => "Decides whether a customer may play an item now (AuthZEN)",
    ];
    EVALUATIONS: "/access/v1/evaluations" => [
        evaluation() => "Decides up to 200 such questions (AuthZEN)",
    ];
    RESOURCE_SEARCH: "/access/v1/search/resource" => [
        authzen(Methods::POST, Auth::Asker, Input::Json) => "Lists the items that a customer may play now, page by page (AuthZEN)",
    ];
    AUTHZEN_CONFIGURATION: "/.well-known/authzen-configuration" => [
        authzen(Methods::READ, Auth::None, Input::None) => "Says where the AuthZEN endpoints are",
    ];
    CUSTOMERS: "/customers" => [
        support(Methods::READ, Input::None) => "Finds customers by `number` or `uuid`, page by page",
    ];
    CUSTOMER: "/customers/{who}" => [
        support(Methods::READ, Input::None) => "Shows a customer and what they hold, page by page",
    ];
    TOKEN_INSPECTION: "/tokens/inspect" => [
        support(Methods::POST, Input::Json) => "Shows a token's claims, and each rule that it passes or fails",
    ];
    LICENSE: "/license" | "/licenses" | "/v1/licenses" | "/v1/subscriptions" => [
        read(Auth::Viewer) => "Lists the viewer's licences",
    ];
    USED_TRIAL: "/items/used-trial-period/{id}" => [
        read(Auth::Viewer) => "Tells whether the viewer has used the trial of the item",
    ];
    PURCHASES: "/items/access/customers" => [
        read(Auth::Viewer) => "Lists the viewer's accesses and how they were bought, page by page",
    ];
    ENTITLEMENTS: "/v3/sites/{site}/entitlements" => [
        read(Auth::Viewer) => "Lists the plans that the viewer holds now; without a token, none",
    ];
    PLANS: "/v3/sites/{site}/plans" => [
        read(Auth::None) => "Lists the plans that an app offers",
    ];
    ITEM: "/items/{id}" => [
        read(Auth::None) => "Shows an item",
    ];
    MERCHANT_ITEM: "/items/{merchant_uuid}/{id}" | "/v2/items/{merchant_uuid}/{id}" => [
        read(Auth::None) => "Shows an item of the merchant",
    ];
    EXTERNAL_ITEM: "/items/assets/external/{type}/{external_id}" => [
        read(Auth::None) => "Shows the item that a media id or another id of the origin names",
    ];
    ITEMS_V2: "/v2/items" => [
        write(Methods::POST, WriteAction::CreateItem) => "Adds an item",
    ];
    ITEM_V2: "/v2/items/{id}" => [
        write(Methods::PUT, WriteAction::ReplaceItem) => "Replaces all of an item",
        write(Methods::PATCH, WriteAction::ChangeItem) => "Changes some fields of an item",
        write(Methods::DELETE, WriteAction::DeleteItem) => "Deletes an item",
    ];
    FEES: "/items/{id}/access-fees" => [
        read(Auth::None) => "Lists the fees by which the item is sold",
    ];
    FEES_V2: "/v2/items/{id}/access-fees" => [
        read(Auth::None) => "Lists the fees by which the item is sold",
        write(Methods::POST, WriteAction::CreateFee) => "Adds a fee to the item",
    ];
    FEE: "/v2/items/{id}/access-fees/{fee_id}" => [
        read(Auth::None) => "Shows a fee",
        write(Methods::PUT, WriteAction::ReplaceFee) => "Replaces all of a fee",
        write(Methods::DELETE, WriteAction::DeleteFee) => "Deletes a fee",
    ];
    BULK_FEES: "/v2/items/{id}/access-fees/bulk" => [
        write(Methods::PATCH, WriteAction::ChangeFees) => "Adds and replaces fees of the item",
    ];
    PACKAGE: "/items/packages/{id}" => [
        read(Auth::None) => "Shows a package",
    ];
    PACKAGE_ITEMS: "/items/packages/{id}/items" => [
        read(Auth::None) => "Lists the items of a package, page by page",
    ];
    BULK_PACKAGE: "/v2/items/packages/{id}/bulk" => [
        write(Methods::PATCH, WriteAction::ChangeMembers) => "Adds and removes items of a package",
    ];
    HEALTH: "/healthz" => [
        Operation {
            methods: Methods::READ,
            auth: Auth::None,
            input: Input::None,
            kind: Kind::Health,
        } => "Tells whether the service works",
    ];
    AUTHENTICATE: "/accounts/authenticate" | "/v2/accounts/authenticate" => [
        sign_in(true) => "Exchanges credentials or a refresh token for tokens",
    ];
    TOKEN: "/oauth2/token" => [
        sign_in(true) => "Exchanges a code, credentials or a refresh token for tokens, as OAuth 2 does",
    ];
    LEGACY_TOKEN: "/oauth2/authorization" => [
        sign_in(false) => "Does the same as `/oauth2/token`, under an older name",
    ];
    AUTHORIZE: "/oauth2/authorize" => [
        at_the_origin(Methods::READ, Auth::None, Kind::SignInPage) => "Shows the page where people sign in",
        Operation {
            methods: Methods::POST,
            auth: Auth::None,
            input: Input::Fields,
            kind: Kind::SignInPage,
        } => "Takes what people typed there and redirects to the app with a code",
    ];
    JWKS: "/.well-known/jwks.json" => [
        at_the_origin(Methods::READ, Auth::None, Kind::Discovery) => "Lists the keys that verify the origin's tokens",
    ];
    OPENID_CONFIGURATION: "/.well-known/openid-configuration" => [
        at_the_origin(Methods::READ, Auth::None, Kind::Discovery) => "Describes the origin as an OpenID provider",
    ];
    FEED: "/export" | "/changes" => [
        at_the_origin(Methods::GET, Auth::Feed, Kind::Feed) => "Streams every record, or with `after` the later changes",
    ];
    HEAD: "/snapshot/head" => [
        publish(Methods::READ, TO_READ) => "Sends the published head",
        publish(Methods::PUT, TO_STORE) => "Publishes a head",
    ];
    OBJECT: "/snapshot/{kind}/{digest}" => [
        publish(Methods::READ, TO_READ) => "Sends an object",
        publish(Methods::PUT, TO_STORE) => "Stores an object",
        publish(Methods::DELETE, TO_COLLECT) => "Deletes an object that nothing published leads to",
    ];
    VERSION: "/snapshot/version/{seq}" => [
        publish(Methods::READ, TO_READ) => "Sends the head of a base version",
        publish(Methods::PUT, TO_STORE) => "Stores the head of a base version",
        publish(Methods::DELETE, TO_COLLECT) => "Deletes the head of a base version",
    ];
    LEASE: "/snapshot/lease" => [
        publish(Methods::READ, TO_READ) => "Sends the lease",
        publish(Methods::PUT, TO_STORE_OR_COLLECT) => "Takes or renews the lease",
        publish(Methods::DELETE, TO_STORE_OR_COLLECT) => "Ends one's own lease",
    ];
    GARBAGE: "/snapshot/garbage" => [
        publish(Methods::READ, TO_READ) => "Sends the list of garbage",
        publish(Methods::PUT, TO_STORE_OR_COLLECT) => "Stores the list of garbage",
    ];
    START: "/snapshot/start" => [
        publish(Methods::READ, TO_READ) => "Sends the objects that an isolate starts with",
    ];
    PACK: "/snapshot/pack" => [
        publish(Methods::POST, TO_STORE) => "Stores several objects",
    ];
    CHECK: "/snapshot/check" => [
        publish(Methods::POST, TO_STORE) => "Compares stored objects with their names",
    ];
    KEYS: "/snapshot/keys" => [
        publish(Methods::READ, TO_READ) => "Lists the keys that are stored, page by page",
    ];
    ISSUERS: "/snapshot/issuers" => [
        publish(Methods::READ, TO_READ) => "Lists the issuers of this edge, without their keys",
    ];
    REPORT: "/snapshot/report" => [
        publish(Methods::READ, TO_READ) => "Describes the snapshot in use: head, objects, versions, lease, configuration",
    ];
    DIFF: "/snapshot/diff" => [
        publish(Methods::READ, TO_READ) => "Shows what changed between two versions, page by page",
    ];
}
