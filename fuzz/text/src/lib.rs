//! Reads and writes a corpus as text: one input a line, in ASCII, so that hundreds of inputs are one file
//! with readable diffs.
//!
//! A byte is written as in a Rust byte string: `\n`, `\\`, `\x00`. Empty lines, and lines that begin with
//! `#`, are not inputs; an input that begins with `#` is written with `\x23`.

/// The inputs of a corpus.
///
/// # Errors
/// The number of the invalid line, and the reason.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| input(line).map_err(|problem| format!("line {}: {problem}", number + 1)))
        .collect()
}

/// An input as a line, without the line's end.
#[must_use]
pub fn line(input: &[u8]) -> String {
    // Quotes need no escape here, because the line is not quoted.
    let escaped = input.iter().enumerate().map(|(at, byte)| match byte {
        b'"' | b'\'' => char::from(*byte).to_string(),
        b'#' if at == 0 => "\\x23".to_owned(),
        byte => byte.escape_ascii().to_string(),
    });
    escaped.collect()
}

fn input(line: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            let byte = u8::try_from(character).ok().filter(u8::is_ascii);
            bytes.push(byte.ok_or_else(|| format!("expected ASCII, found {character:?}"))?);
            continue;
        }
        bytes.push(match characters.next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2);
                byte.ok_or_else(|| format!("expected \\x and two digits, found {digits:?}"))?
            }
            other => return Err(format!("expected an escape such as \\n or \\x00, found {other:?}")),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_one_line_and_comes_back() {
        let inputs = [(0..=255).collect(), b"#a \"b\" 'c' \\d\n".to_vec(), Vec::from(*b"plain")];
        let text: Vec<_> = inputs.iter().map(|input| line(input)).collect();
        assert!(text.iter().all(|line| line.is_ascii() && !line.contains('\n')));
        assert_eq!(text[1], r#"\x23a "b" 'c' \\d\n"#);
        assert_eq!(read(&format!("# of a test\n\n{}\n", text.join("\n"))).unwrap(), inputs);
    }

    #[test]
    fn errors_name_their_line() {
        for wrong in ["\\", "\\q", "\\x1", "\\xzz", "é"] {
            let problem = read(&format!("fine\n{wrong}")).unwrap_err();
            assert!(problem.starts_with("line 2: expected"), "{wrong}: {problem}");
        }
    }
}
