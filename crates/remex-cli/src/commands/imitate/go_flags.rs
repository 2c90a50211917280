//! Go's `flag` package: how three of the imitated programs read their words.
//!
//! One or two dashes mean the same, a value follows `=` or is the next word, a switch takes a value
//! only behind `=`, numbers may be written `0x4`, and the first word that is no flag (or `--`) ends
//! the flags. The texts of mistakes are Go's, followed by the list of flags, as Go prints them.

use std::collections::BTreeMap;

use crate::exit::{Exit, Failure};
use crate::output;

/// The flags of a program.
#[derive(Debug)]
pub(super) struct Program {
    /// The first line of the list of flags.
    pub(super) usage: &'static str,
    /// The flags, in the order of their names.
    pub(super) flags: &'static [Flag],
}

/// One flag.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its value if it is not given.
    pub(super) default: &'static str,
    pub(super) help: &'static str,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A whole number.
    Int,
    /// A number from 0 on.
    Uint,
    Switch,
}

/// The words, read.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// What was given, numbers and switches in their usual form.
    given: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, &'static str>,
    /// What is left behind the flags.
    pub(super) rest: Vec<String>,
}

impl Words {
    /// The value of a flag, given or not.
    pub(super) fn get(&self, name: &'static str) -> &str {
        self.given(name).unwrap_or_else(|| self.defaults.get(name).copied().unwrap_or_default())
    }

    /// The value of a flag that was given.
    pub(super) fn given(&self, name: &'static str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &'static str) -> bool {
        self.get(name) == "true"
    }

    /// The names of the flags that were given.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.keys().copied()
    }
}

impl Program {
    /// Reads the words. A mistake is said as Go says it, with the list of flags.
    pub(super) fn read(&self, words: &[String]) -> Result<Words, Failure> {
        self.parse(words).map_err(|mistake| {
            output::note(&format!("{mistake}\n{}", self.help().trim_end()));
            Failure::silent(Exit::Usage)
        })
    }

    fn parse(&self, words: &[String]) -> Result<Words, String> {
        let defaults = self.flags.iter().map(|flag| (flag.name, flag.default)).collect();
        let mut read = Words { defaults, ..Words::default() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(body) = word.strip_prefix('-').filter(|body| !body.is_empty()) else {
                read.rest.push(word.clone());
                break;
            };
            if word == "--" {
                break;
            }
            let body = body.strip_prefix('-').unwrap_or(body);
            if body.is_empty() || body.starts_with(['-', '=']) {
                return Err(format!("bad flag syntax: {word}"));
            }
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            let Some(flag) = self.flags.iter().find(|flag| flag.name == name) else {
                return Err(format!("flag provided but not defined: -{name}"));
            };
            let value = match (flag.kind, value) {
                (Kind::Switch, None) => "true",
                (_, Some(value)) => value,
                (_, None) => {
                    words.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?
                }
            };
            read.given.insert(flag.name, flag.usual_form(value)?);
        }
        read.rest.extend(words.cloned());
        Ok(read)
    }

    /// Takes values of flags that were read elsewhere than on the command line.
    pub(super) fn collect(
        &self,
        values: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Words, String> {
        let mut read = self.parse(&[])?;
        for (name, value) in values {
            let flag = self.flags.iter().find(|flag| flag.name == name);
            let flag = flag.ok_or_else(|| format!("flag provided but not defined: -{name}"))?;
            read.given.insert(flag.name, flag.usual_form(&value)?);
        }
        Ok(read)
    }

    /// The list of flags.
    pub(super) fn help(&self) -> String {
        let mut text = format!("{}\n", self.usage);
        for flag in self.flags {
            let (kind, default) = match flag.kind {
                Kind::Text => (" string", format!("\"{}\"", flag.default)),
                Kind::Int => (" int", flag.default.to_owned()),
                Kind::Uint => (" uint", flag.default.to_owned()),
                Kind::Switch => ("", flag.default.to_owned()),
            };
            text.push_str(&format!("  -{}{kind}\n    \t{}", flag.name, flag.help));
            if !matches!(flag.default, "" | "0" | "false") {
                text.push_str(&format!(" (default {default})"));
            }
            text.push('\n');
        }
        text
    }
}

impl Flag {
    /// The value as it is written usually; a text as it is.
    fn usual_form(&self, value: &str) -> Result<String, String> {
        let name = self.name;
        let number = |least: i128, most: i128| match integer(value) {
            Some(number) if (least..=most).contains(&number) => Ok(number.to_string()),
            Some(_) => {
                Err(format!("invalid value \"{value}\" for flag -{name}: value out of range"))
            }
            None => Err(format!("invalid value \"{value}\" for flag -{name}: parse error")),
        };
        match self.kind {
            Kind::Text => Ok(value.to_owned()),
            Kind::Int => number(i64::MIN.into(), i64::MAX.into()),
            Kind::Uint => match value.starts_with(['-', '+']) {
                true => Err(format!("invalid value \"{value}\" for flag -{name}: parse error")),
                false => number(0, u64::MAX.into()),
            },
            Kind::Switch => match value {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
                _ => Err(format!("invalid boolean value \"{value}\" for -{name}: parse error")),
            },
        }
    }
}

/// Reads an integer as Go does with base 0: decimal, or with the prefix `0x`, `0b`, `0o` or `0`,
/// and with `_` between digits. What is too long for the largest type counts as its end.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.get(..2), lower.as_bytes()) {
        (Some("0x"), _) => (16, lower.get(2..)?),
        (Some("0b"), _) => (2, lower.get(2..)?),
        (Some("0o"), _) => (8, lower.get(2..)?),
        (_, [b'0', _, ..]) => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    // `_` may stand between digits, and behind a prefix.
    let is_apart = |digits: &str| !digits.ends_with('_') && !digits.contains("__");
    let begins_well = radix != 10 || !digits.starts_with('_');
    if digits.is_empty() || !is_apart(digits) || !begins_well {
        return None;
    }
    if !digits.chars().all(|c| c.is_digit(radix) || c == '_') {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), radix).unwrap_or(i128::MAX);
    Some(sign * magnitude)
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    const PROGRAM: Program = Program {
        usage: "Usage of test:",
        flags: &[
            Flag { name: "id", kind: Kind::Int, default: "1", help: "node ID" },
            Flag { name: "join", kind: Kind::Switch, default: "false", help: "join" },
            Flag { name: "port", kind: Kind::Uint, default: "0", help: "port" },
            Flag { name: "url", kind: Kind::Text, default: "http://a", help: "where" },
        ],
    };

    fn parse(line: &str) -> Result<Words, String> {
        PROGRAM.parse(&words(line))
    }

    #[test]
    fn one_dash_or_two_and_values_in_both_places() {
        for line in ["-id 4 -url b", "--id=4 --url=b", "-id=0x4 --url b", "-id 2 -id 04 -url b"] {
            let read = parse(line).unwrap();
            assert_eq!((read.get("id"), read.get("url")), ("4", "b"), "{line}");
            assert!(read.rest.is_empty() && !read.is_on("join"), "{line}");
        }
        let read = parse("").unwrap();
        assert_eq!((read.get("id"), read.get("url"), read.given("url")), ("1", "http://a", None));
    }

    #[test]
    fn a_switch_takes_a_value_only_behind_an_equals_sign() {
        assert!(parse("-join").unwrap().is_on("join"));
        assert!(parse("--join=T").unwrap().is_on("join"));
        assert!(!parse("-join=0").unwrap().is_on("join"));
        let read = parse("-join false -id 2").unwrap();
        assert!(read.is_on("join"));
        assert_eq!(read.rest, ["false", "-id", "2"]);
    }

    #[test]
    fn the_flags_end_at_the_first_other_word() {
        assert_eq!(parse("-id 2 path -id 3").unwrap().rest, ["path", "-id", "3"]);
        assert_eq!(parse("-id 2 -- -id").unwrap().rest, ["-id"]);
        assert_eq!(parse("- -id").unwrap().rest, ["-", "-id"]);
        assert_eq!(parse("-id 2 path -id 3").unwrap().names().collect::<Vec<_>>(), ["id"]);
    }

    #[test]
    fn mistakes_are_said_as_go_says_them() {
        for (line, want) in [
            ("-nope", "flag provided but not defined: -nope"),
            ("--nope=1", "flag provided but not defined: -nope"),
            ("-id", "flag needs an argument: -id"),
            ("---id 1", "bad flag syntax: ---id"),
            ("-=1", "bad flag syntax: -=1"),
            ("-id x", "invalid value \"x\" for flag -id: parse error"),
            (
                "-id 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -id: value out of range",
            ),
            ("-port -1", "invalid value \"-1\" for flag -port: parse error"),
            ("-join=x", "invalid boolean value \"x\" for -join: parse error"),
        ] {
            assert_eq!(parse(line).unwrap_err(), want);
        }
    }

    #[test]
    fn integers_with_prefixes() {
        for (text, number) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("0x_1F", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("08", None),
            ("1_000", Some(1000)),
            ("0_7", Some(7)),
            ("_1", None),
            ("1_", None),
            ("0x", None),
            ("-", None),
            ("", None),
            ("1__0", None),
            ("ü", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn the_list_of_flags_is_gos() {
        assert_eq!(
            PROGRAM.help(),
            "Usage of test:\n  -id int\n    \tnode ID (default 1)\n  -join\n    \tjoin\n  \
             -port uint\n    \tport\n  -url string\n    \twhere (default \"http://a\")\n"
        );
    }
}
