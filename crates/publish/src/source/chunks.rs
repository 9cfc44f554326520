//! Splits a file into chunks of whole lines, so that several threads can parse it.

use std::io::{self, Read};

/// Longest line in bytes: a customer with some 150,000 accesses of 100 bytes each. Without a bound, a file
/// without line ends would be read into memory as a whole.
pub const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Target length of a chunk in bytes: long enough that sending it costs nothing, short enough to stay in a
/// processor's cache while it is parsed.
const CHUNK_BYTES: usize = 512 * 1024;

/// Whole lines of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Number of the first line, counted from 1.
    pub first_line: u64,
    /// The lines with their line ends. The last line of a file may lack one.
    pub bytes: Vec<u8>,
}

/// The next part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Lines(Chunk),
    /// A line that exceeds the limit, by its number. It was skipped.
    TooLong(u64),
    End,
}

/// Reads a file chunk by chunk.
pub(super) struct Chunks<R> {
    reader: R,
    /// Bytes after the last chunk: the start of a line.
    rest: Vec<u8>,
    next_line: u64,
    is_at_end: bool,
}

impl<R: Read> Chunks<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), next_line: 1, is_at_end: false }
    }

    /// Returns the next whole lines. `spare` is a buffer to be reused.
    pub fn next(&mut self, mut spare: Vec<u8>) -> io::Result<Next> {
        spare.clear();
        spare.append(&mut self.rest);
        let mut bytes = spare;
        let mut wanted = CHUNK_BYTES;
        loop {
            if !self.is_at_end && bytes.len() < wanted {
                let room = (wanted - bytes.len()) as u64;
                if self.reader.by_ref().take(room).read_to_end(&mut bytes)? == 0 {
                    self.is_at_end = true;
                }
                continue;
            }
            // Hand out whole lines and keep the start of the next one; at the end of the file, hand out
            // everything.
            let end = if self.is_at_end { bytes.len() } else { last_line_end(&bytes) };
            if end > 0 {
                self.rest.extend_from_slice(bytes.get(end..).unwrap_or_default());
                bytes.truncate(end);
                let first_line = self.next_line;
                self.next_line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
                return Ok(Next::Lines(Chunk { first_line, bytes }));
            }
            if self.is_at_end {
                return Ok(Next::End);
            }
            if bytes.len() > LINE_MAX_BYTES {
                return self.skip_line(bytes);
            }
            // No line end yet: read on until the line ends or exceeds the limit.
            wanted = bytes.len() + CHUNK_BYTES;
        }
    }

    /// Skips the rest of a line that is too long.
    fn skip_line(&mut self, mut bytes: Vec<u8>) -> io::Result<Next> {
        let line = self.next_line;
        self.next_line += 1;
        loop {
            bytes.clear();
            if self.reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut bytes)? == 0 {
                self.is_at_end = true;
                return Ok(Next::TooLong(line));
            }
            if let Some(end) = memchr::memchr(b'\n', &bytes) {
                self.rest.extend_from_slice(bytes.get(end + 1..).unwrap_or_default());
                return Ok(Next::TooLong(line));
            }
        }
    }
}

/// Offset after the last line end; 0 if there is no line end.
fn last_line_end(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that gives a few bytes at a time, as a pipe does.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(reader: impl Read) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
        let mut chunks = Chunks::new(reader);
        let (mut lines, mut too_long) = (Vec::new(), Vec::new());
        loop {
            match chunks.next(b"left over".to_vec()).unwrap() {
                Next::Lines(Chunk { first_line, bytes }) => {
                    assert!(!bytes.is_empty());
                    for (offset, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
                        lines.push((first_line + offset as u64, line.to_vec()));
                    }
                }
                Next::TooLong(line) => too_long.push(line),
                Next::End => return (lines, too_long),
            }
        }
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_the_next_ones_are_read() {
        let long = vec![b'x'; LINE_MAX_BYTES + 2 * CHUNK_BYTES];
        let text = [b"a\n", long.as_slice(), b"\nb\n", &long].concat();
        let (lines, too_long) = all(text.as_slice());
        assert_eq!(lines, [(1, b"a\n".to_vec()), (3, b"b\n".to_vec())]);
        assert_eq!(too_long, [2, 4]);
    }

    #[test]
    fn a_line_longer_than_a_chunk_is_whole() {
        let long = vec![b'x'; 3 * CHUNK_BYTES];
        let (lines, too_long) = all(Dribble(&[&long, b"\ny".as_slice()].concat(), 100_000));
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].1.len(), lines[1].clone()), (long.len() + 1, (2, b"y".to_vec())));
        assert!(too_long.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_lines_are_numbered(lines in proptest::collection::vec("[a-z\r]{0,9}", 0..60), last in "[a-z]{0,3}", step in 1_usize..50) {
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>() + &last;
            let (found, too_long) = all(Dribble(text.as_bytes(), step));
            prop_assert!(too_long.is_empty());
            let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
            prop_assert_eq!(numbers, (1..=found.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(found.into_iter().flat_map(|(_, line)| line).collect::<Vec<_>>(), text.into_bytes());
        }
    }
}
