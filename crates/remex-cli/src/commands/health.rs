//! `remex health`: whether nodes take requests.

use std::time::Duration;

use clap::Args;
use remex_client::{Call, Client, Endpoint, Options};
use tokio::time::{Instant, sleep};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Time for one question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Time to wait for, unless told otherwise.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks.
const WAIT_PAUSE: Duration = Duration::from_millis(100);

/// Whether nodes take requests
#[derive(Debug, Args)]
#[command(after_help = "\
Asks every endpoint. A node is ready if it knows a leader, has caught up, has room on its disk, and
neither starts nor stops. With --wait, asks until all are ready or --timeout (1m) has passed.

Exit code 0 if all are ready, 8 if not.
Output: value (default), json (one object for each endpoint).

Examples:
  remex health
  remex health --wait && remex put app/deployed true
  remex health --wait --timeout 30s -e http://10.0.0.1:7480,http://10.0.0.2:7480
  remex health -o json | jq '.[] | select(.ready | not)'")]
pub(crate) struct Health {
    /// Ask until all are ready
    #[arg(long)]
    wait: bool,
}

/// What one node said, or that it said nothing.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Report {
    endpoint: String,
    ready: bool,
    detail: String,
}

impl Health {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        let endpoints = globals.endpoints()?;
        let deadline = Instant::now() + globals.timeout_or(WAIT_MAX);
        let reports = loop {
            let reports = ask_all(&endpoints, globals.timeout_or(ASK_TIMEOUT)).await?;
            let done = reports.iter().all(|report| report.ready);
            if done || !self.wait || Instant::now() + WAIT_PAUSE >= deadline {
                break reports;
            }
            sleep(WAIT_PAUSE).await;
        };
        if format == Format::Json {
            let text = serde_json::to_string(&reports);
            output::line(&text.expect("texts and booleans always become JSON"))?;
        } else {
            for report in &reports {
                let state = if report.ready { "ready" } else { "not ready" };
                let detail = output::on_a_line(&report.detail, 300);
                output::line(format!("{} {state} {detail}", report.endpoint).trim_end())?;
            }
        }
        let bad = reports.iter().filter(|report| !report.ready).count();
        if bad == 0 {
            return Ok(());
        }
        let message = format!("{bad} of {} nodes not ready", reports.len());
        Err(Failure::new(Exit::CheckFailed, message).hint("see what is wrong: remex status"))
    }
}

async fn ask_all(endpoints: &[Endpoint], timeout: Duration) -> Result<Vec<Report>, Failure> {
    let options = Options { timeout: timeout.min(ASK_TIMEOUT), retries: 0, ..Options::default() };
    let mut reports = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let client = Client::new(vec![endpoint.clone()], options)?;
        let (ready, detail) = match client.send(&Call::read("/readyz")).await {
            Ok(_) => (true, String::new()),
            Err(error) => (false, error.problem.detail),
        };
        reports.push(Report { endpoint: endpoint.to_string(), ready, detail });
    }
    Ok(reports)
}
