//! What the data and cluster commands share: a client made from the global options.

use remex_client::{Answer, Call, Client, Endpoint, Error, Options};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output;

/// A client, and what it shows of its work.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    verbose: bool,
}

impl Session {
    /// Reads the options; connects when the first call is made.
    pub(crate) fn open(globals: &Globals) -> Result<Self, Failure> {
        let endpoints = Endpoint::parse_list(&globals.endpoint).map_err(|error| {
            Failure::usage(error).hint("write -e http://HOST:PORT, or set REMEX_ENDPOINTS")
        })?;
        Self::with(endpoints, globals)
    }

    /// A session with other endpoints than those of the options.
    pub(crate) fn with(endpoints: Vec<Endpoint>, globals: &Globals) -> Result<Self, Failure> {
        let options =
            Options { timeout: globals.timeout, retries: globals.retries, ..Options::default() };
        Ok(Self { client: Client::new(endpoints, options)?, verbose: globals.verbose })
    }

    /// Sends a call; shows it first, if that was asked for.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        if self.verbose {
            let endpoint = self.client.endpoints().next().map(ToString::to_string);
            output::note(&call.curl(&endpoint.unwrap_or_default()));
        }
        self.client.send(call).await
    }

    /// The client itself.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// A key under which the server applies a write once, so that it may be repeated.
pub(crate) fn idempotency_key() -> String {
    // Drawn from a generator that every process seeds anew. Two writes that meet with the same
    // 128 bits are not to be expected.
    format!("cli-{:032x}", fastrand::u128(..))
}
