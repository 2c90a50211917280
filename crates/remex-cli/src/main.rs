//! The `remex` binary: server, command line, benchmark.
//!
//! `main` reads the command line, hands over to one file of `commands/`, and turns what comes back
//! into an exit code and, for a failure, one line `error: …` and one line `hint: …`. Invariants:
//! nothing but data is written to standard output; a command ends with a code of
//! [`exit::Exit`], never by a panic; and a command that is listed works.

mod bench;
mod cli;
mod commands;
mod exit;
mod logs;
mod notify;
mod output;
mod session;
mod settings;
mod shell;
mod stop;

use std::process::ExitCode;

use exit::Failure;

/// The binary chooses the allocator; the libraries leave that to whoever embeds them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let color = cli.globals.color;
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, color),
    }
}

fn report(failure: &Failure, color: cli::Color) -> ExitCode {
    if !failure.message.is_empty() {
        let error = color.paint("error:", cli::Paint::Red);
        output::note(&format!("{error} {}", failure.message));
        if let Some(hint) = &failure.hint {
            output::note(&format!("hint: {hint}"));
        }
    }
    failure.exit.into()
}
