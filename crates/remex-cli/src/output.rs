//! Standard output: formats, and writing that stays silent when the reader has gone.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::ValueEnum;

use crate::exit::{Exit, Failure};

/// A form of output. No command has them all; each says which it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// The API's object, unchanged.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// The bare value, or one word or line for each result.
    Value,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Value => "value",
        }
    }
}

/// The format that `REMEX_OUTPUT` names.
fn usual() -> Option<Format> {
    let text = std::env::var("REMEX_OUTPUT").ok()?;
    <Format as clap::ValueEnum>::from_str(&text, true).ok()
}

/// The format that was asked for, if the command has it; otherwise its first one, or its second
/// one if that is a table and nobody looks at it.
pub(crate) fn choose(asked: Option<Format>, offered: &[Format]) -> Result<Format, Failure> {
    if let Some(asked) = asked {
        if offered.contains(&asked) {
            return Ok(asked);
        }
        let names: Vec<&str> = offered.iter().map(|format| format.as_str()).collect();
        let message = format!("this command has no output format '{}'", asked.as_str());
        return Err(Failure::usage(message).hint(format!("it has: {}", names.join(", "))));
    }
    // A variable is for all commands: where a command does not have its format, it does not apply.
    if let Some(usual) = usual().filter(|usual| offered.contains(usual)) {
        return Ok(usual);
    }
    let unseen_table = offered[0] == Format::Table && !is_terminal();
    Ok(if unseen_table { offered[1] } else { offered[0] })
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes to standard output, and flushes.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(failed)
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(failed)
}

/// Writes a JSON document and ends its line.
pub(crate) fn document(body: &[u8]) -> Result<(), Failure> {
    write(body)?;
    if body.ends_with(b"\n") { Ok(()) } else { write(b"\n") }
}

/// A reader that has gone (`remex ls | head`) wants no more; that is not worth a word. The
/// command ends there, as one killed by a broken pipe would.
fn failed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::silent(Exit::Failure);
    }
    Failure::new(Exit::Failure, format!("cannot write to standard output: {error}"))
}

/// Writes a line to standard error. There is nowhere to report that this failed.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Asks a question; goes on only if one of these words is the reply, in any case of its letters.
/// Without anybody to ask, nothing is confirmed.
pub(crate) fn confirm(question: &str, words: &[&str], otherwise: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failure, format!("cannot ask: {error}"));
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(failed)?;
    let mut reply = String::new();
    let mut stdin = io::stdin().lock();
    stdin.read_line(&mut reply).map_err(failed)?;
    if !stdin.is_terminal() {
        // Nobody has pressed a key that would end the line of the question.
        writeln!(stderr).map_err(failed)?;
    }
    let reply = reply.trim();
    if words.iter().any(|word| word.eq_ignore_ascii_case(reply)) {
        return Ok(());
    }
    Err(Failure::new(Exit::Protected, format!("not confirmed; {otherwise}"))
        .hint("add --yes to go on without being asked"))
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// Lays out rows in columns; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Makes a text fit for one line of a terminal: control characters become visible, and what is
/// longer than `max` characters is cut.
pub(crate) fn on_a_line(text: &str, max: usize) -> String {
    let mut shown = String::new();
    for (position, character) in text.chars().enumerate() {
        if position == max {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_offered_formats_are_taken() {
        let offered = [Format::Value, Format::Json];
        assert_eq!(choose(None, &offered), Ok(Format::Value));
        assert_eq!(choose(Some(Format::Json), &offered), Ok(Format::Json));
        let failure = choose(Some(Format::Table), &offered).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.hint.as_deref(), Some("it has: value, json"));
    }

    #[test]
    fn columns_line_up_without_blanks_at_the_end() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["KEY", "V"]), row(["ü/long", ""])]), "KEY     V\nü/long\n");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (5 << 29, "2.5 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_value_cannot_draw_on_the_terminal() {
        assert_eq!(on_a_line("a\u{1b}[2J\nb", 20), "a\\u{1b}[2J\\nb");
        assert_eq!(on_a_line("abcdef", 3), "abc…");
    }
}
