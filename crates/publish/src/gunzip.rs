//! Decompresses input. The first bytes decide, not a header or a file name: export jobs, proxies and servers
//! compress without saying so.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// Size of the read buffer.
const BUFFER_BYTES: usize = 64 * 1024;

/// The first bytes of formats that are not decoded, with their names.
const OTHER_FORMATS: [(&[u8], &str); 5] = [
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

/// The first bytes of gzip (RFC 1952 §2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";

/// Decompressed lines.
pub type Lines = Box<dyn BufRead + Send>;

/// `input` as text: decoded if it is gzip, of one member or several, otherwise unchanged.
///
/// # Errors
/// `input` cannot be read, or is compressed in another format.
pub fn decoded(input: impl Read + Send + 'static) -> io::Result<Lines> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let beginning = peek(&mut input)?;
    if beginning.starts_with(GZIP) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input))));
    }
    match OTHER_FORMATS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        Some((_, format)) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the input is compressed as {format}; expected lines of JSON, as they are or as gzip"),
        )),
        None => Ok(Box::new(input)),
    }
}

/// The first bytes of `input`, which stay to be read: as many as arrived at once, and at least as many as
/// gzip is recognised by, unless the input is shorter.
fn peek<R: Read>(input: &mut BufReader<R>) -> io::Result<Vec<u8>> {
    let beginning = input.fill_buf()?.to_vec();
    if beginning != GZIP.get(..1).unwrap_or_default() {
        return Ok(beginning);
    }
    // The input so far is one byte, which may be gzip's first: a pipe may deliver the second one later. No
    // line of JSON begins with this byte.
    Ok(GZIP.to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(input: impl Read + Send + 'static) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decoded(input)?.read_to_end(&mut text)?;
        Ok(text)
    }

    /// Gives one byte at a time, as a slow pipe does.
    struct Slow(io::Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let end = buffer.len().min(1);
            self.0.read(&mut buffer[..end])
        }
    }

    #[test]
    fn gzip_is_decoded_and_the_rest_is_as_it_is() {
        let text = b"{\"type\":\"snapshot\"}\n".repeat(10_000);
        let members = [gzip(&text), gzip(b"{}\n")].concat();
        assert_eq!(
            read(io::Cursor::new(members.clone())).unwrap(),
            [text.clone(), b"{}\n".to_vec()].concat()
        );
        assert_eq!(read(Slow(io::Cursor::new(gzip(b"{}\n")))).unwrap(), b"{}\n");
        assert_eq!(read(io::Cursor::new(text.clone())).unwrap(), text);
        assert_eq!(read(Slow(io::Cursor::new(b"{}".to_vec()))).unwrap(), b"{}");
        assert_eq!(read(io::empty()).unwrap(), b"");
    }

    #[test]
    fn gzip_that_breaks_off_is_an_error() {
        let whole = gzip(&b"{\"type\":\"snapshot\"}\n".repeat(1_000));
        for len in [1, 2, 9, 10, 11, whole.len() / 2, whole.len() - 1] {
            assert!(read(io::Cursor::new(whole[..len].to_vec())).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn other_formats_are_named_once() {
        let error = read(io::Cursor::new(b"\x28\xb5\x2f\xfd rest".to_vec())).unwrap_err();
        assert!(error.to_string().contains("compressed as zstd; expected lines of JSON"), "{error}");
        assert!(read(io::Cursor::new(b"PK\x03\x04".to_vec())).unwrap_err().to_string().contains("zip"));
    }
}
