//! How this program is called from a shell, for the commands that we suggest to people.

use std::env;
use std::path::{Path, PathBuf};

/// What to type to start this program: `remex` if that is found on the path, otherwise the place
/// of the running executable, relative to the working directory where possible.
pub(crate) fn program() -> String {
    let Some(executable) = executable_off_path() else {
        return "remex".to_owned();
    };
    let relative = env::current_dir()
        .ok()
        .and_then(|directory| executable.strip_prefix(directory).ok().map(Path::to_path_buf));
    match relative {
        Some(relative) => Path::new(".").join(relative).display().to_string(),
        None => executable.display().to_string(),
    }
}

/// As [`program`], but right in any working directory, and quoted.
pub(crate) fn program_anywhere() -> String {
    match executable_off_path() {
        Some(executable) => quoted(&executable.display().to_string()),
        None => "remex".to_owned(),
    }
}

/// The running executable, unless `remex` starts it.
fn executable_off_path() -> Option<PathBuf> {
    let executable = env::current_exe().ok()?;
    let on_path = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|directory| same_file(&directory.join("remex"), &executable))
    });
    (!on_path).then_some(executable)
}

/// A text as one word of a shell's command line: as it is where that is safe, otherwise between
/// single quotes, in which a shell takes everything but themselves as it is.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The option that names an endpoint, with a blank before it; empty for the default one.
pub(crate) fn endpoint_option(url: &str) -> String {
    if url == "http://127.0.0.1:7480" { String::new() } else { format!(" -e {url}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_quoted_text_for_one_word() {
        for text in ["plain-1.2/3:4,5=6", "", "a b", "it's", "$HOME `x` \"y\" \\ * ; & | #", "é"] {
            let script = format!("printf %s {}", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(quoted("--join=a:1,b:2"), "--join=a:1,b:2");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
