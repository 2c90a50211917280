//! What the data and cluster commands share: a client made from the global options.

use std::time::Duration;

use remex_client::{Answer, Call, Client, Endpoint, Error, Options};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
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
        Self::with(globals.endpoints()?, globals)
    }

    /// A session with other endpoints than those of the options.
    pub(crate) fn with(endpoints: Vec<Endpoint>, globals: &Globals) -> Result<Self, Failure> {
        let options =
            Options { timeout: globals.timeout(), retries: globals.retries, ..Options::default() };
        Ok(Self { client: Client::new(endpoints, options)?, verbose: globals.verbose })
    }

    /// Sends a call; shows it first, if that was asked for.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        self.show(call);
        self.client.send(call).await
    }

    /// [`Session::send`] with another timeout than that of the options.
    pub(crate) async fn send_within(
        &self,
        call: &Call,
        timeout: Duration,
    ) -> Result<Answer, Error> {
        self.show(call);
        self.client.send_within(call, timeout).await
    }

    fn show(&self, call: &Call) {
        if self.verbose {
            let endpoint = self.client.endpoints().next().map(ToString::to_string);
            output::note(&call.curl(&endpoint.unwrap_or_default()));
        }
    }

    /// The client itself.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// The node whose URL for clients this is; `None` for a text that is no URL, and so a peer
/// address.
pub(crate) fn client_endpoint(text: &str) -> Result<Option<Endpoint>, Failure> {
    if !text.contains("://") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        Failure::usage(error).hint("write HOST:PORT with the port for peers, or http://HOST:PORT")
    })
}

/// Asks a node where peers reach it.
pub(crate) async fn peer_address(
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<String, Failure> {
    let options = Options { timeout, retries: 0, ..Options::default() };
    let node = Client::new(vec![endpoint.clone()], options)?.node().await?;
    if node.peer_address.is_empty() {
        let message = format!("{endpoint} does not say where peers reach it");
        return Err(Failure::new(Exit::Failure, message).hint("give its peer address, HOST:PORT"));
    }
    Ok(node.peer_address)
}
