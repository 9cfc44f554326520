//! The vocabulary of the table: endpoints, their operations, and who serves them.

use super::Methods;
use crate::token::Scope;

/// A path of the API and everything that can be done there.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The spellings of the path. `{name}` stands for one segment.
    pub patterns: &'static [&'static str],
    /// What its methods do. No method occurs twice.
    pub operations: &'static [Operation],
}

/// What one method of an endpoint does, or `GET` and `HEAD` together.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The methods.
    pub methods: Methods,
    /// What a request must show.
    pub auth: Auth,
    /// What its body is. A body that it does not have is not read.
    pub input: Input,
    /// Its kind, which decides who serves it and how.
    pub kind: Kind,
}

/// What a request must show before it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing. A sign-in brings its credentials in the body.
    None,
    /// A token of an issuer with the capability `view`.
    Viewer,
    /// A token of an issuer with the capability `view`, for questions about its owner, or `check`, for questions about
    /// any customer.
    Asker,
    /// A token of an issuer with the capability `explain`, and beside it `view` for questions about its owner, or
    /// `check` for questions about any customer.
    Explainer,
    /// A token with the role `merchant`, of an issuer with the capability `write`.
    Merchant,
    /// A token with one of these scopes, of an issuer with the capability `publish`.
    Scopes(&'static [Scope]),
    /// The feed secret, or a token with the scope `feed:read`.
    Feed,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// No body. One that is sent is ignored.
    None,
    /// Fields, as a form or as a JSON object.
    Fields,
    /// A JSON object.
    Json,
    /// A value of the snapshot, whatever its `Content-Type` says.
    Bytes,
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads the published snapshot; at the origin, its database.
    Read,
    /// Tells of several items whether the viewer may play them. At the edge only.
    Checks,
    /// Signs what opens an item's media, if the viewer may play the item now. At the edge only.
    Playback,
    /// Decides in the form of AuthZEN: at the edge by the published snapshot, at the origin by its database.
    Evaluation,
    /// Searches in the form of AuthZEN, or describes where that is done. At the edge only.
    Authzen,
    /// Shows support staff a customer or a token. At the edge only.
    Support,
    /// Says whether the service works.
    Health,
    /// Changes what the origin knows.
    Write(WriteAction),
    /// Exchanges credentials for tokens.
    SignIn {
        /// Whether the body may ask for a session to be refreshed instead.
        may_refresh: bool,
    },
    /// Reads or changes the stored snapshot.
    Publish,
    /// Shows the page where people sign in, and takes what they type there.
    SignInPage,
    /// Describes how the origin's tokens are verified.
    Discovery,
    /// Streams the origin's records, or the changes since an earlier stream.
    Feed,
}

/// What a write does. An edge forwards it, the origin does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAction {
    /// Grants an access.
    Grant,
    /// Takes away all accesses to an item.
    Revoke,
    /// Adds an item.
    CreateItem,
    /// Replaces all of an item.
    ReplaceItem,
    /// Changes some fields of an item.
    ChangeItem,
    /// Deletes an item.
    DeleteItem,
    /// Adds a fee to an item.
    CreateFee,
    /// Replaces all of a fee.
    ReplaceFee,
    /// Deletes a fee.
    DeleteFee,
    /// Replaces the fees of an item.
    ChangeFees,
    /// Adds and removes items of a package.
    ChangeMembers,
}

/// What a write can open for viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An access for the customer that the body names.
    Grants,
    /// Something: an item becomes free or active, or joins a package.
    MayOpen,
    /// Nothing.
    OpensNothing,
}

/// Who answers. An edge without an upstream has no writes, and only the origin has a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// An edge that has no upstream.
    LoneEdge,
    /// An edge that forwards writes to its upstream.
    Edge,
    /// The origin.
    Origin,
}

impl Endpoint {
    /// The methods that `server` has here, without `OPTIONS`.
    #[must_use]
    pub fn methods(&self, server: Server) -> Methods {
        let served = self.operations.iter().filter(|operation| operation.kind.is_served_by(server));
        served.fold(Methods::NONE, |methods, operation| methods.and(operation.methods))
    }

    /// What `method` does here at `server`.
    #[must_use]
    pub fn operation(&self, method: Methods, server: Server) -> Option<&'static Operation> {
        let mut operations = self.operations.iter();
        operations
            .find(|operation| operation.methods.intersects(method) && operation.kind.is_served_by(server))
    }

    /// A path of the first spelling, with `values` in the order of its parameters.
    #[must_use]
    pub fn path(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        let pattern = self.patterns.first().copied().unwrap_or_default();
        let segments = pattern.split('/').map(|segment| match segment.strip_prefix('{') {
            Some(_) => values.next().copied().unwrap_or_default(),
            None => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

impl Auth {
    /// The scopes of which a token needs one; none where no scope is asked for.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Scopes(scopes) => scopes,
            Self::Feed => &[Scope::FeedRead],
            Self::None | Self::Viewer | Self::Asker | Self::Explainer | Self::Merchant => &[],
        }
    }
}

impl Kind {
    /// Whether `server` serves such requests.
    #[must_use]
    pub const fn is_served_by(self, server: Server) -> bool {
        match self {
            Self::Read | Self::Evaluation | Self::Health => true,
            Self::Write(_) | Self::SignIn { .. } => !matches!(server, Server::LoneEdge),
            Self::Publish | Self::Playback | Self::Checks | Self::Authzen | Self::Support => {
                !matches!(server, Server::Origin)
            }
            Self::SignInPage | Self::Discovery | Self::Feed => matches!(server, Server::Origin),
        }
    }
}

impl WriteAction {
    /// Its name in audit trails: the kind of record, and the change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grant => "access.grant",
            Self::Revoke => "access.revoke",
            Self::CreateItem => "item.create",
            Self::ReplaceItem => "item.replace",
            Self::ChangeItem => "item.change",
            Self::DeleteItem => "item.delete",
            Self::CreateFee => "fee.create",
            Self::ReplaceFee => "fee.replace",
            Self::DeleteFee => "fee.delete",
            Self::ChangeFees => "fee.bulk",
            Self::ChangeMembers => "package.members",
        }
    }

    /// What it can open for viewers.
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self {
            Self::Grant => Effect::Grants,
            Self::Revoke | Self::DeleteItem | Self::DeleteFee => Effect::OpensNothing,
            Self::CreateItem
            | Self::ReplaceItem
            | Self::ChangeItem
            | Self::CreateFee
            | Self::ReplaceFee
            | Self::ChangeFees
            | Self::ChangeMembers => Effect::MayOpen,
        }
    }
}
