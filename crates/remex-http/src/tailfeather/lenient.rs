//! JSON as Json.NET reads it, rewritten to strict JSON.
//!
//! Beside JSON, it takes: strings and names in single quotes, names without quotes, comments,
//! a comma behind the last member, control characters in strings, `NaN` and the infinities (which
//! become strings: JSON has no such numbers), hexadecimal numbers, and numbers that begin or end
//! with their point. Texts that look like dates stay texts. Not taken, although Json.NET does:
//! octal numbers (a text of digits that begins with 0 is seldom meant as one), `undefined`, and
//! `new Date(…)`.
//!
//! What is strict already stays as it is, byte for byte. Otherwise white space and comments go,
//! and digits, escapes and the order of members stay. Nothing here recurses, and nesting has a
//! bound.
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::fmt::Write;

use serde::de::IgnoredAny;

/// Deepest nesting of text that is not strict.
const DEPTH_MAX: usize = 128;

/// The strict JSON that `text` stands for; `None` if it stands for none.
pub(crate) fn strict(text: &str) -> Option<Cow<'_, str>> {
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Some(Cow::Borrowed(text));
    }
    let reader = Reader { rest: text, out: String::with_capacity(text.len() + 16) };
    reader.document().map(Cow::Owned)
}

/// An open bracket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    List,
    Object,
}

impl Open {
    fn closing(self) -> char {
        match self {
            Self::List => ']',
            Self::Object => '}',
        }
    }
}

/// What is left of the text, and what was written for the rest. Every step answers `None` if the
/// text cannot be read.
struct Reader<'a> {
    rest: &'a str,
    out: String,
}

impl Reader<'_> {
    fn document(mut self) -> Option<String> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.blank()?;
            if let Some(bracket) = self.opening() {
                if open.len() == DEPTH_MAX {
                    return None;
                }
                open.push(bracket);
                self.blank()?;
                if !self.rest.starts_with(bracket.closing()) {
                    self.name_in(bracket)?;
                    continue;
                }
            } else {
                self.scalar()?;
            }
            if !self.behind_a_value(&mut open)? {
                return Some(self.out);
            }
        }
    }

    /// Goes on behind a value, or behind a bracket that nothing stands in, to where the next value
    /// begins; false if there is none.
    fn behind_a_value(&mut self, open: &mut Vec<Open>) -> Option<bool> {
        loop {
            self.blank()?;
            let Some(&bracket) = open.last() else { return self.rest.is_empty().then_some(false) };
            let is_followed = self.take(',');
            self.blank()?;
            if self.take(bracket.closing()) {
                self.out.push(bracket.closing());
                open.pop();
            } else if is_followed {
                self.out.push(',');
                self.name_in(bracket)?;
                return Some(true);
            } else {
                return None;
            }
        }
    }

    fn opening(&mut self) -> Option<Open> {
        let bracket = match self.rest.chars().next()? {
            '[' => Open::List,
            '{' => Open::Object,
            _ => return None,
        };
        let first = self.next()?;
        self.out.push(first);
        Some(bracket)
    }

    /// The name of a member and its colon, if a member comes next.
    fn name_in(&mut self, bracket: Open) -> Option<()> {
        if bracket == Open::List {
            return Some(());
        }
        if !self.quoted()? {
            let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let name = self.run(is_of_name)?;
            write!(self.out, "\"{name}\"").ok()?;
        }
        self.blank()?;
        if !self.take(':') {
            return None;
        }
        self.out.push(':');
        Some(())
    }

    /// Any value but a list and an object.
    fn scalar(&mut self) -> Option<()> {
        if self.quoted()? {
            return Some(());
        }
        let word = self.run(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))?;
        match word {
            "true" | "false" | "null" => self.out.push_str(word),
            "NaN" | "Infinity" | "-Infinity" => write!(self.out, "\"{word}\"").ok()?,
            number => self.out.push_str(&decimal(number)?),
        }
        Some(())
    }

    /// A string in quotes of either kind; false if none comes next.
    fn quoted(&mut self) -> Option<bool> {
        let Some(quote @ ('"' | '\'')) = self.rest.chars().next() else { return Some(false) };
        self.next()?;
        self.out.push('"');
        loop {
            match self.next()? {
                end if end == quote => break,
                '\\' => self.escape()?,
                '"' => self.out.push_str("\\\""),
                control @ ..' ' => write!(self.out, "\\u{:04x}", u32::from(control)).ok()?,
                other => self.out.push(other),
            }
        }
        self.out.push('"');
        Some(true)
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            '\'' => self.out.push('\''),
            kind @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.out.extend(['\\', kind]);
            }
            'u' => {
                let digits = self.rest.get(..4)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                write!(self.out, "\\u{digits}").ok()?;
                self.rest = self.rest.get(4..)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// White space and comments.
    fn blank(&mut self) -> Option<()> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/")?.1;
            } else if let Some(comment) = self.rest.strip_prefix("//") {
                self.rest = comment.split_once(['\n', '\r']).map_or("", |(_, rest)| rest);
            } else {
                return Some(());
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

impl<'a> Reader<'a> {
    /// The longest text of such characters; `None` if it is empty.
    fn run(&mut self, is_of_run: impl Fn(char) -> bool) -> Option<&'a str> {
        let length = self.rest.find(|c| !is_of_run(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        (!run.is_empty()).then_some(run)
    }
}

/// A number in the form of strict JSON.
fn decimal(word: &str) -> Option<String> {
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        return number.map(|number| number.to_string());
    }
    let (sign, unsigned) = word.strip_prefix('-').map_or(("", word), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        None => (unsigned, ""),
        Some(position) => unsigned.split_at_checked(position)?,
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if !exponent.is_empty() {
        let digits = exponent.get(1..)?.trim_start_matches(['+', '-']);
        let signs = exponent.len() - 1 - digits.len();
        if digits.is_empty() || !are_digits(digits) || signs > 1 {
            return None;
        }
    }
    let zero_if_empty = |digits| if str::is_empty(digits) { "0" } else { digits };
    let mut out = [sign, zero_if_empty(whole)].concat();
    if mantissa.contains('.') {
        out.push('.');
        out.push_str(zero_if_empty(fraction));
    }
    out.push_str(exponent);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(strict(text).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn t7_the_value_of_the_document_is_an_object() {
        check(
            "{ 'Url': 'http://live-test.ravendb.net', 'Database': 'Sample' }",
            r#"{"Url":"http://live-test.ravendb.net","Database":"Sample"}"#,
        );
    }

    #[test]
    fn t7_what_json_net_takes_becomes_strict() {
        for (text, expected) in [
            ("{a:1,$b_2:2,3:3,ü:4}", r#"{"a":1,"$b_2":2,"3":3,"ü":4}"#),
            ("[1,2,]", "[1,2]"),
            ("{'a':[],}", r#"{"a":[]}"#),
            ("{ /* all */ } // none", "{}"),
            ("// first\n[ // second\r\n 'x' /**/ , /* * / */ 1]", "[\"x\",1]"),
            (r"'it\'s \u00e4 \n\\'", r#""it's \u00e4 \n\\""#),
            ("'say \"hi\"'", r#""say \"hi\"""#),
            ("\"tab\there\nand 'there'\"", r#""tab\u0009here\u000aand 'there'""#),
            ("[NaN,Infinity,-Infinity]", r#"["NaN","Infinity","-Infinity"]"#),
            ("[0x1F,0XffffFFFFffffFFFF]", "[31,18446744073709551615]"),
            (
                "[.5,-.5,5.,1.e5,-0.,'',12345678901234567890.10]",
                "[0.5,-0.5,5.0,1.0e5,-0.0,\"\",12345678901234567890.10]",
            ),
            (
                "['2014-11-22T00:00:00Z','/Date(1198908717056)/']",
                r#"["2014-11-22T00:00:00Z","/Date(1198908717056)/"]"#,
            ),
            ("['\\ud800']", r#"["\ud800"]"#),
            ("{'z':1,'a':2,'z':3}", r#"{"z":1,"a":2,"z":3}"#),
            ("\u{a0}[\u{3000}true,]", "[true]"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn t8_what_is_strict_stays_as_it_is() {
        for text in [
            "42",
            " true ",
            "null",
            "\"x\"",
            "{ \"b\" : 1.50, \"a\":\t[1e400, -0] }\n",
            "12345678901234567890123",
        ] {
            assert!(matches!(strict(text), Some(Cow::Borrowed(same)) if same == text), "{text}");
        }
    }

    #[test]
    fn t8_what_is_none_is_told() {
        for text in [
            "",
            " ",
            "hello",
            "hello world",
            "tru",
            "True",
            "undefined",
            "1 2",
            "0123",
            "[01]",
            "--1",
            "+1",
            "1.2.3",
            ".",
            "-",
            "-.",
            "1e",
            "1e+-1",
            "0x",
            "0x+1",
            "-0x1",
            "0x10000000000000000",
            "192.168.0.1",
            "2014-11-22",
            "{",
            "[",
            "'",
            "'a",
            "'\\",
            "'\\x'",
            "'\\u12'",
            "'\\u12ü'",
            "}",
            "]",
            "[1}",
            "{'a'}",
            "{'a':}",
            "{a b:1}",
            "{,}",
            "[,]",
            "[1,,2]",
            "{'a':1,,}",
            "[1 2]",
            "[1]]",
            "{}{}",
            "/* open",
            "[1] x",
            "new Date(1)",
            "'a' 'b'",
            "{:1}",
            "//",
        ] {
            assert_eq!(strict(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth| ["[".repeat(depth), "'x'".to_owned(), "]".repeat(depth)].concat();
        assert!(strict(&nested(DEPTH_MAX)).is_some());
        assert_eq!(strict(&nested(DEPTH_MAX + 1)), None);
    }

    /// Random text of the pieces that matter: whatever it is, what comes out is strict, means the
    /// same the second time, and what went in strict comes out unchanged.
    #[test]
    fn whatever_comes_in_what_comes_out_is_strict() {
        const PIECES: [&str; 44] = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "'",
            "\"",
            "\\",
            "\\'",
            "\\\"",
            "\\u00e4",
            "\\ud8",
            "/*",
            "*/",
            "//",
            "\n",
            "\r",
            " ",
            "\t",
            "a",
            "$b",
            "ü",
            "\u{2028}",
            "true",
            "null",
            "NaN",
            "-Infinity",
            "0x1f",
            "0",
            "12",
            ".5",
            "5.",
            "-",
            "e5",
            "'x'",
            "\"y\"",
            "'k':",
            "z:",
            "\0",
            "🪶",
            "/",
            "[1,",
            "{'a':1,",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        let mut read = 0;
        for _ in 0..200_000 {
            let count = random.usize(1..12);
            let text: String = (0..count).map(|_| random.choice(PIECES).unwrap()).collect();
            let is_strict = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            match strict(&text) {
                None => assert!(!is_strict, "{text}"),
                Some(Cow::Borrowed(same)) => assert!(is_strict && same == text, "{text}"),
                Some(Cow::Owned(out)) => {
                    assert!(serde_json::from_str::<IgnoredAny>(&out).is_ok(), "{text} {out}");
                    assert!(!is_strict, "{text}");
                    read += 1;
                }
            }
        }
        assert!(read > 1_000, "only {read} texts were rewritten");
    }
}
