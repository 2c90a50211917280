//! Does what a plan says: the road of `remex serve`, with what the imitated program does besides.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remex::{Node, offline};
use remex_client::{Call, Client, Method, Options};
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::plan::{Course, Invitation, Plan};
use crate::cli::Globals;
use crate::commands::{runtime, serve};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::settings::Flags;
use crate::stop::Input;

/// Time for one request to be taken in: as long as a change of the membership may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(35);
/// Pause between two looks at whether the node was taken in.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Looks before another request is sent.
const LOOKS: u32 = 10;

/// Carries a plan out; returns when its server has stopped.
pub(super) fn carry_out(plan: Plan, globals: &Globals) -> Result<(), Failure> {
    for folder in &plan.folders {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot make {}: {error}", folder.display()))
                .remedy("name a folder that can be written, or make it by hand")
        })?;
    }
    let config = std::env::var_os("REMEX_CONFIG").filter(|path| !path.is_empty());
    let mut extra = serve::Extra {
        config: config.map(PathBuf::from),
        remarks: plan.announcement(globals.quiet),
        ..serve::Extra::default()
    };
    let flags = plan.flags();
    let data_dir = PathBuf::from(plan.setting("data-dir").unwrap_or_default());
    match plan.course {
        Course::Serve => {}
        Course::ServeUntilEnter { ready } => {
            extra.input = Input::EnterStops;
            extra.greeting = Some(format!("{ready}\n"));
        }
        Course::ServeAndAsk(invitation) => {
            extra.beside = Some(Box::pin(ask(invitation, data_dir)));
        }
        Course::Found { done } => {
            extra.remarks.iter().for_each(|line| output::note(line));
            found(flags, extra.config.as_deref())?;
            return output::line(done);
        }
    }
    serve::run_with(flags, extra, globals)
}

/// Makes the data directory a cluster of one node, and stops; leaves that of a member as it is.
fn found(flags: Flags, config: Option<&Path>) -> Result<(), Failure> {
    let (_, server) = serve::read(flags, config)?;
    let mut node = server.node;
    node.client_url = server.advertise.unwrap_or_default();
    if offline::is_member(&node.data_dir) {
        return Ok(());
    }
    runtime(Builder::new_multi_thread().worker_threads(1).enable_all())?.block_on(async {
        let node = Box::pin(Node::open(node)).await.map_err(serve::not_opened)?;
        node.shutdown().await.map_err(serve::failed)
    })
}

/// Asks to be taken in until the node is a member. What goes wrong is said once, and again only if
/// it is something else.
async fn ask(invitation: Invitation, data_dir: PathBuf) {
    let Invitation { node, path, body } = invitation;
    let options = Options { timeout: ASK_TIMEOUT, retries: 0, ..Options::default() };
    let client = Client::new(vec![node.clone()], options).expect("there is one endpoint");
    let call = Call::write(Method::POST, path)
        .header("content-type", "application/json")
        .body(body.into_bytes());
    let mut said = String::new();
    while !offline::is_member(&data_dir) {
        if let Err(error) = client.send(&call).await {
            let problem = error.problem.detail;
            if problem != said {
                tracing::warn!(%node, problem, "it does not take this node in; asking again");
                said = problem;
            }
        }
        for _ in 0..LOOKS {
            if offline::is_member(&data_dir) {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
    }
}
