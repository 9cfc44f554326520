//! Text of clients and files.

/// Longest beginning of a value in an error message.
const SHOWN_MAX_CHARS: usize = 60;

/// The byte order mark that some editors and serializers put before UTF-8.
pub const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// A value as error messages repeat it: quoted, without control characters, and shortened.
#[must_use]
pub fn shown(text: &str) -> String {
    let start = beginning(text);
    if start == text { format!("{start:?}") } else { format!("{start:?}…") }
}

/// The part of a value that error messages repeat.
#[must_use]
pub fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN_MAX_CHARS).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}
