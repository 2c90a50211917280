//! The command line: what can be typed, and what is said about mistakes.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use remex_client::Endpoint;

use crate::commands;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::settings::units;

/// The front page of the help: one screen, grouped. A test compares it with what exists.
const FRONT_PAGE: &str = "\
Remex, a highly available key/value store: server, command line, benchmark.

Usage: remex COMMAND [OPTIONS]

Run:
  serve      Run a node
  dev        Run a whole cluster on this machine
  as         Run a node by the command line of another store, whose API it speaks
Data:
  get        Read a key
  put        Write a key
  del        Delete a key, or all keys under a prefix
  ls         List keys
Cluster:
  status     Who leads, who is in, and what may still fail
  health     Whether nodes take requests
  cluster    Members and leadership: list, add, remove, promote, demote, transfer, recover
  snapshot   The whole state as a file: save, verify, restore
Self:
  bench      Measure a cluster
  version    Print the version

Options of the data and cluster commands:
  -e, --endpoint URL[,URL]   Nodes to ask [env: REMEX_ENDPOINTS] [default: http://127.0.0.1:7480]
  -o, --output FORMAT        table, json, ndjson or value, as the command has it [env: REMEX_OUTPUT]
      --consistency LEVEL    linearizable or stale, for reads [default: linearizable]
      --timeout TIME         Time for a request, repetitions included [default: 5s]
      --retries N            Repetitions where repeating is safe [default: 8]
      --yes                  Do not ask
Options of every command:
  -q, --quiet                Say less on standard error
  -v, --verbose              Show each request as a curl command on standard error
      --color WHEN           auto, always or never [default: auto; NO_COLOR is obeyed]
  -h, --help                 Help; after a command, its own help with examples
  -V, --version              Print the version

Exit codes: 0 done, 2 usage, 3 not found, 4 condition not met, 6 unavailable and not applied,
7 outcome unknown, 8 check failed, 9 refused to protect data, 1 any other failure.
";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "remex",
    version,
    help_template = FRONT_PAGE,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_long_args = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands. Only what works is listed.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(commands::serve::Serve),
    Dev(commands::dev::Dev),
    As(commands::imitate::As),
    Get(commands::get::Get),
    Put(commands::put::Put),
    Del(commands::del::Del),
    Ls(commands::ls::Ls),
    Status(commands::status::Status),
    Health(commands::health::Health),
    Cluster(commands::cluster::Cluster),
    Snapshot(commands::snapshot::Snapshot),
    Bench(commands::bench::Bench),
    Version(commands::version::Version),
}

/// Options that stand before or after any command. They are described on the front page once,
/// not in every command's help.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// Nodes to ask
    #[arg(
        short,
        long,
        global = true,
        hide = true,
        value_name = "URL[,URL]",
        env = "REMEX_ENDPOINTS",
        default_value = "http://127.0.0.1:7480"
    )]
    pub(crate) endpoint: String,
    /// Output format
    #[arg(short, long, global = true, hide = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// How fresh reads must be
    #[arg(long, global = true, hide = true, value_name = "LEVEL", default_value = "linearizable")]
    pub(crate) consistency: Consistency,
    /// Time for a request
    #[arg(long, global = true, hide = true, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Repetitions where repeating is safe
    #[arg(long, global = true, hide = true, value_name = "N", default_value_t = 8)]
    pub(crate) retries: u32,
    /// Do not ask
    #[arg(long, global = true, hide = true)]
    pub(crate) yes: bool,
    /// Say less
    #[arg(short, long, global = true, hide = true)]
    pub(crate) quiet: bool,
    /// Show requests as curl commands
    #[arg(short, long, global = true, hide = true)]
    pub(crate) verbose: bool,
    /// When to use color
    #[arg(long, global = true, hide = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

impl Globals {
    /// Time for a request.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout_or(Duration::from_secs(5))
    }

    /// Time for a request that takes longer than usual.
    pub(crate) fn timeout_or(&self, usual: Duration) -> Duration {
        self.timeout.unwrap_or(usual)
    }

    /// The nodes to ask.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, Failure> {
        Endpoint::parse_list(&self.endpoint).map_err(|error| {
            Failure::usage(error).hint("write -e http://HOST:PORT, or set REMEX_ENDPOINTS")
        })
    }
}

/// How fresh reads must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consistency {
    Linearizable,
    Stale,
}

impl From<Consistency> for remex_client::Consistency {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Linearizable => Self::Linearizable,
            Consistency::Stale => Self::Stale,
        }
    }
}

/// When to use color on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The colors in use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Red,
    /// One of several colors that tell nodes apart.
    Node(usize),
}

impl Color {
    /// Whether standard error is colored.
    pub(crate) fn is_on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org: set and not empty means off.
            Self::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::io::stderr().is_terminal()
            }
        }
    }

    /// The text in a color, if standard error is colored.
    pub(crate) fn paint(self, text: &str, paint: Paint) -> String {
        if !self.is_on() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Red => 31,
            // Cyan, yellow, green, magenta, blue.
            Paint::Node(number) => [36, 33, 32, 35, 34][number % 5],
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Reads a revision.
pub(crate) fn revision(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(revision) if revision > 0 => Ok(revision),
        _ => Err("a revision is a number, and the first one is 1".to_owned()),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        other => other,
    }
}

/// Reads the command line. Where that ends the program already, the exit code is the error:
/// help and version go to standard output, mistakes to standard error.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let args = spell_help(args.into_iter().collect());
    Cli::try_parse_from(&args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render().to_string();
            output::write(text.as_bytes())
                .map_or_else(|failure| failure.exit.into(), |()| ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::note(error.render().to_string().trim_end());
            Exit::Usage.into()
        }
        _ => {
            for line in mistake(&error.render().to_string(), &args) {
                output::note(&line);
            }
            Exit::Usage.into()
        }
    })
}

/// `remex help` and `remex help COMMAND` mean what `--help` means.
fn spell_help(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|first| first == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

/// Clap's account of a mistake in the form of all our errors: one line, then one hint.
fn mistake(rendered: &str, args: &[OsString]) -> [String; 2] {
    let mut lines = rendered.lines().map(str::trim);
    let message: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    let hint = tip.map_or_else(|| format!("run: {} --help", typed_command(args)), str::to_owned);
    [message.join(" "), format!("hint: {hint}")]
}

/// The program, with the command that was typed if it is one.
fn typed_command(args: &[OsString]) -> String {
    let known = Cli::command();
    let mut command = &known;
    let mut words = vec!["remex"];
    for arg in args.iter().skip(1).filter_map(|arg| arg.to_str()) {
        if let Some(found) = command.find_subcommand(arg) {
            words.push(found.get_name());
            command = found;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_lists_what_exists_and_nothing_else() {
        let command = Cli::command();
        command.clone().debug_assert();
        let listed: Vec<&str> = FRONT_PAGE
            .lines()
            .filter(|line| line.starts_with("  ") && !line.trim_start().starts_with('-'))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        let existing: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(listed, existing);
        for argument in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(FRONT_PAGE.contains(&format!("--{argument} ")), "--{argument} is not listed");
        }
    }

    #[test]
    fn the_front_page_fits_one_screen() {
        assert!(FRONT_PAGE.lines().count() <= 44);
        assert!(FRONT_PAGE.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn every_help_ends_with_examples() {
        fn check(command: &mut clap::Command) {
            let help = command.render_help().to_string();
            let examples = help.rfind("Examples:").unwrap_or_else(|| panic!("{help}"));
            assert!(help[examples..].contains("  remex "), "{help}");
            assert!(help[examples..].lines().skip(1).all(|line| line.starts_with("  ")), "{help}");
            command.get_subcommands_mut().for_each(check);
        }
        Cli::command().get_subcommands_mut().for_each(check);
    }

    #[test]
    fn a_mistake_is_one_line_and_a_hint() {
        let mistake = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            mistake(&Cli::try_parse_from(&args).unwrap_err().render().to_string(), &args)
        };
        let [message, hint] = mistake(&["remex", "stats"]);
        assert_eq!(message, "error: unrecognized subcommand 'stats'");
        assert!(hint.contains("'status'"), "{hint}");
        let [message, hint] = mistake(&["remex", "put", "a"]);
        assert!(message.contains("<VALUE>"), "{message}");
        assert_eq!(hint, "hint: run: remex put --help");
        let [message, hint] = mistake(&["remex", "cluster", "remove"]);
        assert!(message.contains("<NAME>"), "{message}");
        assert_eq!(hint, "hint: run: remex cluster remove --help");
        let [message, hint] = mistake(&["remex", "-q", "get", "a", "--rev", "0"]);
        assert!(message.ends_with("a revision is a number, and the first one is 1"), "{message}");
        assert_eq!(hint, "hint: run: remex get --help");
    }
}
