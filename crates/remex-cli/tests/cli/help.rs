//! Help, versions, and mistakes on the command line.

use crate::run;

const COMMANDS: [&str; 13] = [
    "serve", "dev", "as", "get", "put", "del", "ls", "status", "health", "cluster", "snapshot",
    "bench", "version",
];

#[test]
fn help_goes_to_standard_output_and_ends_in_examples() {
    let front = run(&["--help"]);
    assert_eq!((front.code, front.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        assert!(front.stdout().contains(&format!("\n  {command} ")), "{command}");
        let help = run(&[command, "--help"]);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{command}");
        let (_, examples) = help.stdout().rsplit_once("\nExamples:\n").unwrap();
        let examples = examples.replace("\\\n", "");
        let good = |line: &str| line.starts_with("  ") && line.contains("remex");
        assert!(examples.trim_end().lines().all(good), "{examples}");
    }
}

#[test]
fn nothing_is_a_usage_error_that_shows_the_help() {
    let ran = run(&[]);
    ran.expect(2, "");
    assert!(ran.stderr.contains("Usage: remex"), "{}", ran.stderr);
}

#[test]
fn a_mistake_is_one_line_with_a_hint_of_what_was_meant() {
    for (arguments, error, hint) in [
        (&["statsu"][..], "'statsu'", "'status'"),
        (&["put", "a"], "<VALUE>", "remex put --help"),
        (&["get", "a", "--revv", "3"], "'--revv'", "'--rev'"),
        (&["put", "a", "b", "--if-rev", "3", "--if-absent"], "--if-absent", "remex put --help"),
        (&["del"], "<KEY>", "remex del --help"),
        (&["get", "a", "--timeout", "5"], "is not a duration", "remex get --help"),
        (&["get", "a", "-e", "https://x"], "TLS", "REMEX_ENDPOINTS"),
        (&["get", ""], "the key is empty", "at least one character"),
        (&["get", "a", "-o", "table"], "no output format 'table'", "value, json"),
        (&["bench", "put", "--prefix", "a b"], "may hold", "remex bench --help"),
        (&["bench", "erase"], "'erase'", "remex bench --help"),
        (&["cluster", "remove"], "<NAME>", "remex cluster remove --help"),
        (&["cluster", "ad", "h:1"], "'ad'", "'add'"),
        (&["cluster", "add", "https://h:1"], "TLS", "port for peers"),
        (&["snapshot", "verify", "/nonexistent"], "/nonexistent", "remex snapshot verify --help"),
    ] {
        let ran = run(arguments);
        ran.expect(2, "");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {}", ran.stderr);
        assert!(lines[0].starts_with("error: ") && lines[0].contains(error), "{}", lines[0]);
        assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{}", lines[1]);
    }
}

#[test]
fn the_version_is_told_in_every_way() {
    let version = env!("CARGO_PKG_VERSION");
    run(&["version"]).expect(0, &format!("remex {version}\n"));
    run(&["--version"]).expect(0, &format!("remex {version}\n"));
    run(&["version", "-o", "json"]).expect(0, &format!("{{\"version\":\"{version}\"}}\n"));
}

#[test]
fn color_is_for_those_who_ask() {
    let plain = run(&["get", ""]);
    assert!(!plain.stderr.contains('\u{1b}'));
    let colored = run(&["get", "", "--color", "always"]);
    assert!(colored.stderr.starts_with("\u{1b}[31merror:\u{1b}[0m "), "{}", colored.stderr);
}

#[test]
fn the_manual_has_every_command_and_setting() {
    let manual = include_str!("../../../../docs/cli.md");
    for command in COMMANDS {
        assert!(manual.contains(&format!("\n| `{command}")), "{command}");
    }
    let help = run(&["serve", "--help"]);
    // Further in, a line goes on with the text of the flag above it.
    let flags = help.stdout().lines().filter_map(|line| line.strip_prefix("      --"));
    let names: Vec<&str> = flags.filter_map(|flag| flag.split(' ').next()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "config") {
        assert!(manual.contains(&format!("\n| `{name}` |")), "{name}");
    }
}
