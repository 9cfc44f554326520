//! The item types that can be created, and the access control types. The numbers belong to this origin;
//! clients use the names.

use admit::snapshot::schema::{AccessControlType, ItemType};

/// Name, number, content type, description.
type ItemTypeRow = (&'static str, i64, &'static str, &'static str);

/// Every item type of the API.
pub const ITEM_TYPES: [ItemTypeRow; 14] = [
    ("package", 10, "package", "Package"),
    ("html_asset", 12, "html", "HTML asset"),
    ("ooyala_asset", 41, "ovp", "OVP asset"),
    ("brightcove_asset", 44, "ovp", "OVP asset"),
    ("cloudfront_asset", 45, "ovp", "OVP asset"),
    ("dacast_asset", 46, "ovp", "OVP asset"),
    ("kaltura_asset", 47, "ovp", "OVP asset"),
    ("sportradar_asset", 48, "ovp", "OVP asset"),
    ("panopto_asset", 49, "ovp", "OVP asset"),
    ("qbrick_asset", 50, "ovp", "OVP asset"),
    ("jw_asset", 52, "ovp", "OVP asset"),
    ("wistia_asset", 58, "ovp", "OVP asset"),
    ("wowza_asset", 61, "live", "Live stream asset"),
    ("livestream_asset", 63, "live", "Live stream asset"),
];

/// The default access control type: the item must be bought.
pub const PAID: i64 = 4;

/// An item type of the publish schema, from a row of [`ITEM_TYPES`].
#[must_use]
pub fn item_type(kind: &ItemTypeRow) -> ItemType {
    let (name, id, content_type, description) = *kind;
    ItemType {
        id,
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        host: "inplayer".to_owned(),
        description: description.to_owned(),
    }
}

/// An access control type by its number; `None` for an unknown one.
#[must_use]
pub fn access_control_type(id: i64) -> Option<AccessControlType> {
    let (name, auth) = match id {
        1 => ("Free", false),
        PAID => ("Paid", true),
        _ => return None,
    };
    Some(AccessControlType { id, name: name.to_owned(), auth })
}
