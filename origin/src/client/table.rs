//! The table of the routes that only an origin has: what a whole client asks for beside the API of the edge.
//!
//! They are not in the edge's [contract](admit::api::contract::table): an edge knows them only as prefixes that it
//! passes through, so its `Allow` and its 404 do not depend on them.

use admit::api::contract::{Auth, Input, Methods};

use super::Action;

/// A path and everything that can be done there.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The path. `{name}` stands for one segment.
    pub pattern: &'static str,
    /// What its methods do. No method occurs twice.
    pub operations: &'static [Operation],
}

/// What one method of an endpoint does, or `GET` and `HEAD` together.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The methods.
    pub methods: Methods,
    /// What a request must show: nothing, or a viewer's token.
    pub auth: Auth,
    /// What its body is. `DELETE` may have fields here.
    pub input: Input,
    /// What it does.
    pub action: Action,
    /// The same in one line of plain English that begins with a verb.
    pub summary: &'static str,
}

/// A read of the viewer's own data.
const fn own(action: Action, summary: &'static str) -> Operation {
    Operation { methods: Methods::READ, auth: Auth::Viewer, input: Input::None, action, summary }
}

/// A read without a token.
const fn public(action: Action, summary: &'static str) -> Operation {
    Operation { methods: Methods::READ, auth: Auth::None, input: Input::None, action, summary }
}

/// A change of the viewer's own data.
const fn change(methods: Methods, action: Action, summary: &'static str) -> Operation {
    Operation { methods, auth: Auth::Viewer, input: Input::Fields, action, summary }
}

/// A change without a token: the body or the path has the credentials.
const fn open(methods: Methods, action: Action, summary: &'static str) -> Operation {
    Operation { methods, auth: Auth::None, input: Input::Fields, action, summary }
}

/// `GET` alone, because it changes something: `HEAD` must not.
const fn get(auth: Auth, action: Action, summary: &'static str) -> Operation {
    Operation { methods: Methods::GET, auth, input: Input::None, action, summary }
}

/// Every endpoint, in the order in which they are documented. A word comes before a parameter in the same place.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        pattern: "/accounts",
        operations: &[
            own(Action::Account, "Shows the viewer's account"),
            change(Methods::PUT, Action::ChangeAccount, "Changes name, metadata and date of birth"),
            open(Methods::POST, Action::Register, "Registers a viewer and answers as a sign-in"),
        ],
    },
    Endpoint {
        pattern: "/v2/accounts",
        operations: &[open(Methods::POST, Action::Register, "Registers a viewer and answers as a sign-in")],
    },
    Endpoint { pattern: "/v3/accounts", operations: &[own(Action::Account, "Shows the viewer's account")] },
    Endpoint {
        pattern: "/accounts/logout",
        operations: &[get(Auth::Viewer, Action::SignOut, "Ends the session of the token")],
    },
    Endpoint {
        pattern: "/logout",
        operations: &[get(
            Auth::None,
            Action::SignOutPage,
            "Ends the session of the token, if one was sent, and redirects to `logout_uri`",
        )],
    },
    Endpoint {
        pattern: "/accounts/register-fields/{client}",
        operations: &[public(Action::RegisterFields, "Lists the fields that the merchant asks for")],
    },
    Endpoint {
        pattern: "/accounts/social",
        operations: &[public(Action::SocialSignIns, "Lists sign-ins by other services: none")],
    },
    Endpoint {
        pattern: "/accounts/forgot-password",
        operations: &[open(Methods::POST, Action::ForgotPassword, "Makes a token that sets a new password")],
    },
    Endpoint {
        pattern: "/accounts/forgot-password/{token}",
        operations: &[open(Methods::PUT, Action::NewPassword, "Sets a new password by such a token")],
    },
    Endpoint {
        pattern: "/accounts/change-password",
        operations: &[change(
            Methods::POST,
            Action::ChangePassword,
            "Sets a new password by the old one and ends the other sessions",
        )],
    },
    Endpoint {
        pattern: "/accounts/export",
        operations: &[change(Methods::POST, Action::Export, "Answers everything known about the viewer")],
    },
    Endpoint {
        pattern: "/accounts/erase",
        operations: &[change(
            Methods::DELETE,
            Action::Erase,
            "Removes the viewer with all data; the body has the password",
        )],
    },
    Endpoint {
        pattern: "/v2/accounts/profiles",
        operations: &[own(Action::Profiles, "Lists profiles: none")],
    },
    Endpoint {
        pattern: "/v2/accounts/media/favorites",
        operations: &[
            own(Action::Favorites, "Lists the viewer's favourites, newest first"),
            change(Methods::POST, Action::AddFavorite, "Adds a favourite"),
        ],
    },
    Endpoint {
        pattern: "/v2/accounts/media/favorites/{media_id}",
        operations: &[
            own(Action::Favorite, "Shows a favourite"),
            Operation {
                input: Input::None,
                ..change(Methods::DELETE, Action::RemoveFavorite, "Removes a favourite")
            },
        ],
    },
    Endpoint {
        pattern: "/v2/accounts/media/watch-history",
        operations: &[
            own(Action::WatchHistory, "Lists watched media, the last first, by `filter`"),
            change(Methods::PATCH, Action::Watch, "Stores the progress of a medium"),
        ],
    },
    Endpoint {
        pattern: "/v2/accounts/media/watch-history/{media_id}",
        operations: &[
            own(Action::Watched, "Shows the progress of a medium"),
            Operation {
                input: Input::None,
                ..change(Methods::DELETE, Action::RemoveWatched, "Removes a medium from the history")
            },
        ],
    },
    Endpoint {
        pattern: "/subscriptions",
        operations: &[own(Action::Subscriptions, "Lists the viewer's subscriptions, page by page")],
    },
    Endpoint {
        pattern: "/v2/accounting/payment-history",
        operations: &[own(Action::PaymentHistory, "Lists the accesses that were granted for a fee")],
    },
    Endpoint {
        pattern: "/payments/methods",
        operations: &[own(Action::PaymentMethods, "Lists payment methods: none")],
    },
];
