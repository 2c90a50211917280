//! How this program is called from a shell, for the commands that we suggest to people.

use std::env;
use std::path::Path;

/// What to type to start this program: `remex` if that is found on the path, otherwise the place
/// of the running executable, relative to the working directory where possible.
pub(crate) fn program() -> String {
    let Ok(executable) = env::current_exe() else {
        return "remex".to_owned();
    };
    let on_path = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|directory| same_file(&directory.join("remex"), &executable))
    });
    if on_path {
        return "remex".to_owned();
    }
    let relative = env::current_dir()
        .ok()
        .and_then(|directory| executable.strip_prefix(directory).ok().map(Path::to_path_buf));
    match relative {
        Some(relative) => Path::new(".").join(relative).display().to_string(),
        None => executable.display().to_string(),
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The option that names an endpoint, with a blank before it; empty for the default one.
pub(crate) fn endpoint_option(url: &str) -> String {
    if url == "http://127.0.0.1:7480" { String::new() } else { format!(" -e {url}") }
}
