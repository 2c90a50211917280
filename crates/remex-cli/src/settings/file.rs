//! The settings file: TOML whose keys are the names of the flags.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::TABLE;

/// Reads the text of a settings file. Every value becomes the text that its flag would take.
///
/// # Errors
/// A line for people: a syntax error, a key that is not a setting (with the nearest one), or a
/// value of a kind that no setting has.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", error.message())
    })?;
    table.into_iter().map(|(key, value)| setting(key, value)).collect()
}

fn setting(key: String, value: Value) -> Result<(String, String), String> {
    let Some(setting) = TABLE.iter().find(|setting| setting.name == key) else {
        return Err(match nearest(&key) {
            Some(name) => format!("unknown setting '{key}'; did you mean '{name}'?"),
            None => format!("unknown setting '{key}'"),
        });
    };
    let text = match value {
        Value::String(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Boolean(is_on) if setting.is_switch() => is_on.to_string(),
        Value::Array(items) => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(format!("'{key}' holds {}, not a text", other.type_str())),
            });
            texts.collect::<Result<Vec<_>, _>>()?.join(",")
        }
        other => return Err(format!("'{key}' cannot be {}", other.type_str())),
    };
    Ok((key, text))
}

/// The setting whose name is nearest to a text, if any is near.
pub(crate) fn nearest(text: &str) -> Option<&'static str> {
    let text = text.replace('_', "-").to_ascii_lowercase();
    TABLE
        .iter()
        .map(|setting| (distance(&text, setting.name), setting.name))
        .min()
        .filter(|&(distance, name)| distance <= name.len().div_ceil(3))
        .map(|(_, name)| name)
}

/// Number of characters to insert, remove or replace to turn one text into the other
/// (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, left) in a.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_the_text_of_their_flag() {
        let file =
            parse("listen = \"0.0.0.0:80\"\nexpect = 3\njoin = [\"a:1\", \"b:1\"]\n").unwrap();
        assert_eq!(file["listen"], "0.0.0.0:80");
        assert_eq!(file["expect"], "3");
        assert_eq!(file["join"], "a:1,b:1");
        assert_eq!(parse("wait = true").unwrap()["wait"], "true");
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_setting() {
        for (text, want) in [
            ("data_dir = 'x'", "unknown setting 'data_dir'; did you mean 'data-dir'?"),
            ("lissten = 'x'", "unknown setting 'lissten'; did you mean 'listen'?"),
            ("max-values-byte = 1", "did you mean 'max-value-bytes'?"),
            ("zzzzzzzz = 1", "unknown setting 'zzzzzzzz'"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.ends_with(want), "{error}");
        }
    }

    #[test]
    fn syntax_errors_name_the_line_and_kinds_are_checked() {
        assert!(parse("expect = 3\nname = \n").unwrap_err().starts_with("line 2: "));
        assert_eq!(parse("expect = true").unwrap_err(), "'expect' cannot be boolean");
        assert_eq!(parse("join = [1]").unwrap_err(), "'join' holds integer, not a text");
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
