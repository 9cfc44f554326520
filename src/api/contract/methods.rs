//! Sets of HTTP methods, and their order in `Allow`.

use std::fmt;

/// A set of HTTP methods. [`Display`](fmt::Display) writes it as the header `Allow` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// No method.
    pub const NONE: Self = Self(0);
    /// `GET`
    pub const GET: Self = Self(1);
    /// `HEAD`
    pub const HEAD: Self = Self(1 << 1);
    /// `POST`
    pub const POST: Self = Self(1 << 2);
    /// `PUT`
    pub const PUT: Self = Self(1 << 3);
    /// `PATCH`
    pub const PATCH: Self = Self(1 << 4);
    /// `DELETE`
    pub const DELETE: Self = Self(1 << 5);
    /// `OPTIONS`
    pub const OPTIONS: Self = Self(1 << 6);
    /// `GET` and `HEAD`, which are answered alike except for the body.
    pub const READ: Self = Self::GET.and(Self::HEAD);

    /// Every method that the API knows, in the order in which `Allow` lists them.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::GET, "GET"),
        (Self::HEAD, "HEAD"),
        (Self::POST, "POST"),
        (Self::PUT, "PUT"),
        (Self::PATCH, "PATCH"),
        (Self::DELETE, "DELETE"),
        (Self::OPTIONS, "OPTIONS"),
    ];

    /// The method of that name, or [`NONE`](Self::NONE) for one that no route has. Names are case-sensitive
    /// (RFC 9110 §9.1).
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::NONE, |(method, _)| *method)
    }

    /// The union of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a method in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (method, name) in Self::NAMES {
            if self.intersects(method) {
                formatter.write_str(separator)?;
                formatter.write_str(name)?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole() {
        for (method, name) in Methods::NAMES {
            assert_eq!(Methods::named(name), method);
            assert_eq!(method.to_string(), name);
        }
        for name in ["", "get", "E", "PUTS", "GET, HEAD", "TRACE", "CONNECT"] {
            assert_eq!(Methods::named(name), Methods::NONE, "{name}");
        }
    }

    #[test]
    fn sets_are_written_in_one_order() {
        let all = Methods::NAMES.iter().rev().fold(Methods::NONE, |all, (method, _)| all.and(*method));
        assert_eq!(all.to_string(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(Methods::DELETE.and(Methods::READ).to_string(), "GET, HEAD, DELETE");
        assert_eq!(Methods::NONE.to_string(), "");
    }
}
