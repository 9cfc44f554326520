//! What goes wrong, as clients see it: one body for all of them, and a fixed message for each case.

/// An error with a wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// 401: missing, malformed, expired, unknown-key or wrong-audience token. Clients log their user out.
    InvalidToken,
    /// 402: no active access. The only denial.
    NoAccess,
    /// 403: a valid token in the wrong role.
    InvalidPrivileges,
    /// 404: unknown, deleted or inactive item.
    ItemNotFound,
    /// 404: unknown fee of a known item.
    FeeNotFound,
    /// 404: no such route.
    RouteNotFound,
    /// 404: no such object of the snapshot.
    ObjectNotFound,
    /// 405, with the methods there are.
    MethodNotAllowed(&'static str),
    /// 422 on `/access`: its clients know only one message.
    InvalidIdOnAccess,
    /// 422 elsewhere: the field, and what was expected.
    InvalidField(&'static str, &'static str),
    /// 409: a head that is older than the published one.
    OlderHead,
    /// 413, with the limit in bytes.
    BodyTooLarge(usize),
    /// 503: nothing can be said yet. Never a 402.
    Unavailable {
        /// When it is worth asking again.
        retry_after_secs: u32,
    },
    /// 500: our own fault. The log has the reason, the client a fixed body.
    Internal,
}

impl ApiError {
    /// The HTTP status, which is also the body's `code`.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidToken => 401,
            Self::NoAccess => 402,
            Self::InvalidPrivileges => 403,
            Self::ItemNotFound | Self::FeeNotFound | Self::RouteNotFound | Self::ObjectNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::OlderHead => 409,
            Self::BodyTooLarge(_) => 413,
            Self::InvalidIdOnAccess | Self::InvalidField(..) => 422,
            Self::Internal => 500,
            Self::Unavailable { .. } => 503,
        }
    }

    /// The body's `message`.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::InvalidToken => "Invalid auth token",
            Self::NoAccess | Self::InvalidIdOnAccess => "No access",
            Self::InvalidPrivileges => "Invalid privileges",
            Self::ItemNotFound => "Item not found",
            Self::FeeNotFound => "Access fee not found",
            Self::RouteNotFound => "Route not found",
            Self::ObjectNotFound => "Object not found",
            Self::MethodNotAllowed(_) => "Method not allowed",
            Self::InvalidField(_, problem) => problem,
            Self::OlderHead => "A newer head is published",
            Self::BodyTooLarge(_) => "Body too large",
            Self::Unavailable { .. } => "Service unavailable",
            Self::Internal => "Internal error",
        }
    }

    /// The body: `errors` is always an object of strings, keyed by the field or by the status.
    #[must_use]
    pub fn body(self) -> String {
        let (status, message) = (self.status(), self.message());
        // Every part is a constant of ours without quotes or backslashes: nothing needs an escape.
        match self {
            Self::InvalidField(field, _) => {
                format!(r#"{{"code":{status},"message":"{message}","errors":{{"{field}":"{message}"}}}}"#)
            }
            _ => format!(r#"{{"code":{status},"message":"{message}","errors":{{"{status}":"{message}"}}}}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_clients_decode() {
        assert_eq!(
            ApiError::NoAccess.body(),
            r#"{"code":402,"message":"No access","errors":{"402":"No access"}}"#
        );
        let field = ApiError::InvalidField("id", "The id must be a positive integer");
        assert_eq!(
            field.body(),
            r#"{"code":422,"message":"The id must be a positive integer","errors":{"id":"The id must be a positive integer"}}"#
        );
    }

    #[test]
    fn statuses_and_messages_of_the_contract() {
        let table = [
            (ApiError::InvalidToken, 401, "Invalid auth token"),
            (ApiError::NoAccess, 402, "No access"),
            (ApiError::InvalidPrivileges, 403, "Invalid privileges"),
            (ApiError::ItemNotFound, 404, "Item not found"),
            (ApiError::FeeNotFound, 404, "Access fee not found"),
            (ApiError::InvalidIdOnAccess, 422, "No access"),
        ];
        for (error, status, message) in table {
            assert_eq!((error.status(), error.message()), (status, message));
        }
    }
}
