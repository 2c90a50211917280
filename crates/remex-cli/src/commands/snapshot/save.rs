//! `remex snapshot save`: fetches a snapshot, checks it, and puts it in place whole or not at all.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use remex_client::{Saved, Snapshot};
use tempfile::TempPath;

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;

/// Save the whole state to a file
#[derive(Debug, Args)]
#[command(after_help = "\
Writes go on meanwhile. The bytes are checked against the digest that the node sends, synced to
disk, and only then put in place of FILE: what is there under that name is always whole. A
directory takes the name that the node proposes; - is standard output.

Output: value (default): SHA-256 and file, as sha256sum prints them; json. With -: the snapshot.

Examples:
  remex snapshot save backup.snapshot
  remex snapshot save /var/backups/
  remex snapshot save - | zstd > backup.snapshot.zst
  remex snapshot save backup.snapshot -e http://10.0.0.2:7480")]
pub(crate) struct Save {
    /// The file, a directory, or - for standard output
    file: String,
}

impl Save {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        let session = Session::open(globals)?;
        let snapshot = session.client().snapshot().await?;
        let revision = snapshot.revision;
        if self.file == "-" {
            let bar = progress_bar(&snapshot, globals);
            let mut out = tokio::io::stdout();
            let saved = snapshot.write_to(&mut out, |bytes| bar.set_position(bytes)).await;
            bar.finish_and_clear();
            let saved = saved?;
            told(globals, revision, &saved);
            return Ok(());
        }
        let path = place(&self.file, &snapshot)?;
        let saved = save(snapshot, &path, globals).await?;
        told(globals, revision, &saved);
        let digest = hexadecimal(&saved.sha256);
        let shown = path.display().to_string();
        match format {
            Format::Json => output::line(
                &serde_json::json!({
                    "file": shown, "bytes": saved.bytes, "revision": revision, "sha256": digest,
                })
                .to_string(),
            ),
            Format::Value | Format::Table | Format::Ndjson => {
                output::line(&format!("{digest}  {shown}"))
            }
        }
    }
}

/// Where the snapshot goes.
fn place(file: &str, snapshot: &Snapshot) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(file);
    if !path.is_dir() {
        return Ok(path);
    }
    match &snapshot.file_name {
        Some(name) => Ok(path.join(name)),
        None => Err(Failure::usage(format!("{file} is a directory"))
            .hint("name a file: the node proposed no name")),
    }
}

async fn save(snapshot: Snapshot, path: &Path, globals: &Globals) -> Result<Saved, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Failure, format!("cannot write {}: {error}", path.display()))
            .hint("name a file in a directory that can be written and has room")
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Beside its place, so that it can be renamed; removed if anything fails, Ctrl-C included.
    let temporary =
        tempfile::Builder::new().prefix(".remex-").suffix(".part").tempfile_in(directory);
    let (file, temporary) = temporary.map_err(failed)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let bar = progress_bar(&snapshot, globals);
    let saved = snapshot.write_to(&mut file, |bytes| bar.set_position(bytes)).await;
    bar.finish_and_clear();
    let saved = saved?;
    let file = file.into_std().await;
    finish(&file, temporary, path, directory).map_err(failed)?;
    Ok(saved)
}

/// Makes the file durable, then its name.
fn finish(file: &File, temporary: TempPath, path: &Path, directory: &Path) -> io::Result<()> {
    file.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

fn progress_bar(snapshot: &Snapshot, globals: &Globals) -> ProgressBar {
    if globals.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(snapshot.bytes);
    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    bar
}

fn told(globals: &Globals, revision: Option<u64>, saved: &Saved) {
    if !globals.quiet {
        let revision =
            revision.map_or_else(String::new, |revision| format!("revision {revision}, "));
        let (size, digest) = (output::size(saved.bytes), hexadecimal(&saved.sha256));
        output::note(&format!("saved {revision}{size}, sha256 {digest}"));
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
