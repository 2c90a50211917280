//! `TailFeather`: a store over the Rachis library, started with .NET's CommandLineParser.
//!
//! With `--Bootstrap` it makes its data directory a cluster of one node and exits. Without, a node
//! that was never bootstrapped waits to be invited (`fly-with-us`). Clients and peers share a port.
//!
//! The words are read leniently, because the command lines that its users have were written with a
//! word processor: any case, one dash, two, or a typographical one, `--x=v` and `--x v`, and all of
//! it in one quoted word.

use super::address::{Address, port};
use super::machine::Machine;
use super::mistake;
use super::plan::{Course, Plan};
use crate::exit::Failure;
use crate::settings::check_name;

/// Said when it is ready, in the program's own spelling.
const READY: &str = "Ready & processing requests, press ENTER to sop";

/// Said when a cluster is founded.
const FOUNDED: &str = "Setup node as the cluster seed, exiting...";

/// An option, by its short and its long name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Port,
    DataPath,
    Name,
    Bootstrap,
}

impl Choice {
    const ALL: [Self; 4] = [Self::Port, Self::DataPath, Self::Name, Self::Bootstrap];

    /// The names: the long one, and the short one if there is one.
    fn names(self) -> (&'static str, Option<char>) {
        match self {
            Self::Port => ("port", Some('p')),
            Self::DataPath => ("DataPath", Some('d')),
            Self::Name => ("Name", Some('n')),
            Self::Bootstrap => ("Bootstrap", None),
        }
    }

    /// The option of this name, in any case of its letters and either length.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| {
            let (long, short) = choice.names();
            let mut letters = name.chars();
            let letter = letters.next().filter(|_| letters.next().is_none());
            name.eq_ignore_ascii_case(long)
                || letter.is_some_and(|letter| short == Some(letter.to_ascii_lowercase()))
        })
    }

    /// How the program calls it in its messages.
    fn shown(self) -> String {
        match self.names() {
            (long, Some(short)) => format!("-{short}/--{long}"),
            (long, None) => format!("--{long}"),
        }
    }
}

/// Its options.
pub(super) fn help() -> String {
    "Usage of TailFeather:\n  -p, --port=PORT\n    \tport for clients and the other nodes (required)\n  \
     -d, --DataPath=DIR\n    \twhere everything is kept (required)\n  \
     -n, --Name=NAME\n    \tname of this node (default MACHINENAME:PORT)\n  \
     --Bootstrap\n    \tmake it a cluster of one node, and exit\n\
     Letters may be of any case. All options may stand in one quoted word.\n"
        .to_owned()
}

/// Reads the words as the program does.
pub(super) fn plan(words: &[String], machine: &dyn Machine) -> Result<Plan, Failure> {
    let read = Read::new(words)?;
    let required = |choice: Choice| {
        let value = read.value(choice);
        value.ok_or_else(|| format!("{} required option is missing.", choice.shown()))
    };
    let (number, path) = match (required(Choice::Port), required(Choice::DataPath)) {
        (Ok(number), Ok(path)) => (number, path),
        (Err(one), Err(other)) => return Err(mistake(format!("{one} {other}"))),
        (Err(one), _) | (_, Err(one)) => return Err(mistake(one)),
    };
    let wrong = |choice: Choice, text: &str, why: String| {
        mistake(format!("{} option violates format: '{text}' {why}", choice.shown()))
    };
    let number = port(number).map_err(|why| wrong(Choice::Port, number, why))?;
    let name = match read.value(Choice::Name) {
        Some(name) => name.to_owned(),
        None => format!("{}:{number}", machine.name()),
    };
    check_name(&name).map_err(|why| wrong(Choice::Name, &name, why))?;

    let address = Address::everywhere(number);
    let told = address.told(machine);
    let mut plan = Plan::new();
    plan.set("name", name).set("data-dir", path);
    if read.bootstrap {
        plan.course = Course::Found { done: FOUNDED };
    } else {
        plan.switch_on("wait");
        plan.course = Course::ServeUntilEnter { ready: READY };
    }
    plan.switch_on("single-port")
        .set("listen", address.listen())
        .set("advertise", format!("http://{told}"))
        .set("peer-advertise", told);
    if !read.unread.is_empty() {
        plan.remark(format!("TailFeather does not look at: {}", read.unread.join(" ")));
    }
    Ok(plan)
}

/// What the words say.
#[derive(Debug, Default)]
struct Read {
    values: Vec<(Choice, String)>,
    bootstrap: bool,
    unread: Vec<String>,
}

impl Read {
    fn new(words: &[String]) -> Result<Self, Failure> {
        let mut read = Self::default();
        let mut pieces = words.iter().flat_map(|word| pieces(word)).peekable();
        while let Some(piece) = pieces.next() {
            let Some(body) = without_dashes(piece) else {
                read.unread.push(piece.to_owned());
                continue;
            };
            let (choice, value) = option(body)
                .ok_or_else(|| mistake(format!("Option '{}' is unknown.", name_of(body))))?;
            if choice == Choice::Bootstrap {
                read.bootstrap = switch(value).ok_or_else(|| {
                    mistake("--Bootstrap option violates format: it takes no value")
                })?;
                continue;
            }
            let value = match value {
                Some(value) => value,
                None => pieces.next_if(|next| without_dashes(next).is_none()).unwrap_or_default(),
            };
            read.values.push((choice, unquoted(value).to_owned()));
        }
        Ok(read)
    }

    /// What was given last for an option, unless it is empty.
    fn value(&self, choice: Choice) -> Option<&str> {
        let given = self.values.iter().rfind(|(known, _)| *known == choice);
        given.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Takes one word apart that holds several options: a new one begins behind a blank, with a dash and
/// the name of an option. Other blanks belong to a value.
fn pieces(word: &str) -> Vec<&str> {
    let blanks = word.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let mut pieces = Vec::new();
    let mut begin = 0;
    for at in blanks {
        let rest = without_dashes(word[at..].trim_start());
        if rest.is_some_and(|body| option(name_of(body)).is_some()) {
            pieces.push(word[begin..at].trim());
            begin = at;
        }
    }
    pieces.push(word[begin..].trim());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// What stands behind one dash or two, of any kind; `None` if it is no option.
fn without_dashes(text: &str) -> Option<&str> {
    // Hyphen, non-breaking hyphen, figure dash, en dash, em dash, bar, minus.
    let is_dash = |c: char| "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}".contains(c);
    let body = text.strip_prefix(is_dash)?;
    let body = body.strip_prefix(is_dash).unwrap_or(body);
    body.starts_with(char::is_alphabetic).then_some(body)
}

/// The name at the beginning of an option without its dashes.
fn name_of(body: &str) -> &str {
    body.split(|c: char| c == '=' || c == ':' || c.is_whitespace()).next().unwrap_or_default()
}

/// Reads an option without its dashes: `name`, `name=value`, `name value`, or a short name with the
/// value right behind it.
fn option(body: &str) -> Option<(Choice, Option<&str>)> {
    let name = name_of(body);
    if let Some(choice) = Choice::named(name) {
        let value = body[name.len()..].trim_start();
        let value = value.strip_prefix(['=', ':']).unwrap_or(value);
        return Some((choice, (name.len() < body.len()).then_some(value)));
    }
    // `-p9079`: only for the port, or every misspelt option would be a value of a shorter one.
    let digits = body.strip_prefix(['p', 'P'])?;
    digits.parse::<u16>().is_ok().then_some((Choice::Port, Some(digits)))
}

/// Reads the value of the only switch; without one it is on.
fn switch(value: Option<&str>) -> Option<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "true") => Some(true),
        Some("false") => Some(false),
        Some(_) => None,
    }
}

/// A value without the quotes around it, which stay where all options are in one quoted word.
fn unquoted(value: &str) -> &str {
    let strip = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    strip('"').or_else(|| strip('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::machine::Imagined;
    use super::*;
    use crate::exit::Exit;

    fn read(words: &[&str]) -> Result<Plan, Failure> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        plan(&words, &Imagined::default())
    }

    fn native(words: &[&str]) -> String {
        read(words).unwrap().arguments()
    }

    const ONE: &str = "--name One --data-dir One --wait --single-port --listen 0.0.0.0:9079 \
                       --advertise http://MACHINE:9079 --peer-advertise MACHINE:9079";

    #[test]
    fn t2_every_spelling_of_the_documented_line_means_the_same() {
        for words in [
            &["--port=9079", "--DataPath=One", "--Name=One"][..],
            &["--port=9079 --DataPath=One --Name=One"],
            &["-p", "9079", "-d", "One", "-n", "One"],
            &["-p9079", "-d=One", "-N=One"],
            &["--p=9079", "--d=One", "--n=One"],
            &["-PORT", "9079", "--datapath", "One", "-name=One"],
            &["\u{2013}port=9079", "\u{2014}DataPath", "One", "\u{2013}\u{2013}Name", "One"],
            &["--port 9079 --DataPath 'One' --Name \"One\""],
            &["-p 9079 -d One -n One"],
            &["-d One -p9079 -n One"],
            &[" --port=9079", "--DataPath=One --Name=One "],
            &["--port=1", "--DataPath=One", "--Name=One", "--port=9079"],
        ] {
            assert_eq!(native(words), ONE, "{words:?}");
        }
    }

    #[test]
    fn t2_bootstrap_founds_and_ends() {
        for bootstrap in [
            "--Bootstrap",
            "\u{2013}Bootstrap",
            "-bootstrap",
            "--BOOTSTRAP=true",
            "\u{2014}bootstrap",
        ] {
            let words = ["--port=9079", "--DataPath=One", "--Name=One", bootstrap];
            let plan = read(&words).unwrap();
            assert_eq!(plan.course, Course::Found { done: FOUNDED }, "{bootstrap}");
            assert_eq!(native(&words), ONE.replace(" --wait", ""));
            let together = words.join(" ");
            assert_eq!(read(&[&together]).unwrap(), plan);
        }
        let words = ["-p", "1", "-d", "One", "--Bootstrap=false"];
        assert_eq!(read(&words).unwrap().course, Course::ServeUntilEnter { ready: READY });
    }

    #[test]
    fn t4_the_name_is_that_of_the_machine_with_the_port() {
        for words in [&["-p", "9079", "-d", "x"][..], &["--p=9079", "--d=x", "--n="]] {
            assert!(native(words).starts_with("--name MACHINE:9079 --data-dir x "), "{words:?}");
        }
        let words = ["-p".to_owned(), "9079".to_owned(), "-d".to_owned(), "x".to_owned()];
        let machine = Imagined { is_unknown: true, ..Imagined::default() };
        let native = plan(&words, &machine).unwrap().native();
        let told = "--advertise http://127.0.0.1:9079 --peer-advertise 127.0.0.1:9079";
        assert!(native.ends_with(told), "{native}");
    }

    #[test]
    fn blanks_belong_to_values_unless_an_option_follows() {
        let plan = read(&["-p", "1", "--DataPath=My Data - two --three"]).unwrap();
        assert_eq!(plan.settings[1], ("data-dir", "My Data - two --three".to_owned()));
        let plan = read(&["--port=1 --DataPath=C:\\My Data --Name=A"]).unwrap();
        assert_eq!(plan.settings[0].1, "A");
        assert_eq!(plan.settings[1].1, "C:\\My Data");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (words, want) in [
            (&[][..], "-p/--port required option is missing. -d/--DataPath required option is"),
            (&["-p", "1"], "-d/--DataPath required option is missing."),
            (&["-d", "x"], "-p/--port required option is missing."),
            (&["-p", "1", "--d="], "-d/--DataPath required option is missing."),
            (&["-p", "-d", "x"], "-p/--port required option is missing."),
            (&["-p", "0", "-d", "x"], "-p/--port option violates format: '0'"),
            (&["-p", "1", "-d", "x", "-n", "a b"], "-n/--Name option violates format: 'a b'"),
            (&["-p", "1", "-d", "x", "--nmae=x"], "Option 'nmae' is unknown."),
            (&["-p", "1", "-d", "x", "--Bootstrap=perhaps"], "takes no value"),
        ] {
            let failure = read(words).unwrap_err();
            assert!(failure.message.contains(want), "{words:?}: {}", failure.message);
            assert_eq!(failure.exit, Exit::Failure);
        }
    }

    #[test]
    fn what_is_no_option_is_said() {
        let plan = read(&["TailFeather.exe", "-p", "1", "-d", "x"]).unwrap();
        assert_eq!(plan.remarks, ["TailFeather does not look at: TailFeather.exe"]);
    }
}
