//! Indents JSON without touching anything else: digits, escapes and the order of keys stay as
//! they are, which a trip through a tree of values would not keep.

/// Longer texts stay as they are: a person does not read them.
const BYTES_MAX: usize = 256 * 1024;

/// Levels below this one are not indented further: a value of nothing but brackets would become
/// thousands of times longer.
const DEPTH_MAX: usize = 32;

/// Indents one JSON text by two spaces a level. White space outside strings is replaced.
///
/// `json` has been checked to be JSON; anything else comes out indented somehow, without harm.
pub(crate) fn indent(json: &[u8]) -> Vec<u8> {
    if json.len() > BYTES_MAX {
        return [json, b"\n"].concat();
    }
    let mut out = Vec::with_capacity(json.len() + json.len() / 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    // An opening bracket breaks the line only once it is known not to be closed at once.
    let mut just_opened = false;
    for &byte in json {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if closes != just_opened {
            break_line(&mut out, depth);
        }
        just_opened = false;
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                just_opened = true;
            }
            b',' => {
                out.push(b',');
                break_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out.push(b'\n');
    out
}

fn break_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth.min(DEPTH_MAX), b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_do_not_grow_without_bound() {
        let deep = ["[".repeat(8192), "]".repeat(8192)].concat();
        assert!(indent(deep.as_bytes()).len() < 70 * deep.len());
        let long = format!("[{}1]", "1,".repeat(BYTES_MAX));
        assert_eq!(indent(long.as_bytes()).len(), long.len() + 1);
    }

    fn indented(json: &str) -> String {
        String::from_utf8(indent(json.as_bytes())).unwrap()
    }

    #[test]
    fn objects_and_lists_are_indented() {
        assert_eq!(
            indented(r#"{"a":[1 , 2],"b":{},"c":[ ],"d":[[],{}]}"#),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": [\n    [],\n    {}\n  ]\n}\n"
        );
    }

    #[test]
    fn strings_and_numbers_are_kept() {
        let json = r#"{"b":12345678901234567890.10e+5,"a":" \"{,:}\\"}"#;
        assert_eq!(
            indented(json),
            "{\n  \"b\": 12345678901234567890.10e+5,\n  \"a\": \" \\\"{,:}\\\\\"\n}\n"
        );
        assert_eq!(indented(" 42 "), "42\n");
        assert_eq!(indented(r#""\\""#), "\"\\\\\"\n");
    }
}
