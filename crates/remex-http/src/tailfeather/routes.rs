//! `/tailfeather/key-val/{read,set,del,cas,batch}` and `/tailfeather/admin/{flock,fly-with-us,
//! fly-away}`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;
use remex_model::{
    Command, Error, ErrorCode, Key, MemberRequest, MemberStep, NodeRole, Outcome, Test, Value,
    Write,
};

use super::convert::{self, ReadMode, reply};
use super::equal::equal;
use super::error;
use super::leading::elsewhere;
use super::query::Query;
use super::wire::{CasBody, MissingBody, ReadBody};
use crate::dialect::{Place, Registration};
use crate::layers;
use crate::surface::Shared;
use crate::traffic::Route;

pub(crate) const REGISTRATION: Registration = Registration {
    name: "tailfeather",
    place: Place::ClientPort,
    register,
    route_of,
    unescaped: Some(b"GET /tailfeather/"),
    example: |url| format!("curl '{url}/tailfeather/key-val/set?key=a&val=1'"),
};

const PATHS_HINT: &str = "the paths are /tailfeather/key-val/ with read, set, del, cas or batch, \
                          and /tailfeather/admin/ with flock, fly-with-us or fly-away";

/// How long a node that is named by its URL has to say where its peers reach it.
const NEIGHBOR_PATIENCE: Duration = Duration::from_secs(3);

fn register(router: Router, shared: &Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/tailfeather/", any(answer))
        .route("/tailfeather/{*rest}", any(answer))
        .with_state(Arc::clone(shared));
    router.merge(routes)
}

fn route_of(path: &str) -> Option<Route> {
    let rest = path.strip_prefix("/tailfeather/")?;
    Some(match rest.split_once('/') {
        Some(("key-val", "batch")) => Route::Batch,
        Some(("key-val", _)) => Route::Key,
        Some(("admin", _)) => Route::Cluster,
        _ => Route::Other,
    })
}

/// What is done at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Read,
    Set,
    Delete,
    CompareAndSet,
    Batch,
    Flock,
    Invite,
    Remove,
}

impl Action {
    fn of(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/tailfeather/")? {
            "key-val/read" => Self::Read,
            "key-val/set" => Self::Set,
            "key-val/del" => Self::Delete,
            "key-val/cas" => Self::CompareAndSet,
            "key-val/batch" => Self::Batch,
            "admin/flock" => Self::Flock,
            "admin/fly-with-us" => Self::Invite,
            "admin/fly-away" => Self::Remove,
            _ => return None,
        })
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Read | Self::Flock => "GET, HEAD",
            Self::Set | Self::Delete | Self::CompareAndSet | Self::Invite | Self::Remove => "GET",
            Self::Batch => "POST",
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(error) = layers::guard(&shared, &parts) {
        return error::answer(error);
    }
    let Some(action) = Action::of(parts.uri.path()) else {
        let detail = format!("nothing is served at {}", parts.uri.path());
        return error::answer(Error::new(ErrorCode::NotFound, detail).hint(PATHS_HINT));
    };
    if action.allow().split(", ").all(|method| parts.method != method) {
        return error::other_method(action.allow());
    }
    let call = Call { shared: &shared, deadline: shared.deadline(), parts: &parts };
    let answer = match action {
        Action::Read => call.read().await,
        Action::Set => call.set().await,
        Action::Delete => call.delete().await,
        Action::CompareAndSet => call.compare_and_set().await,
        Action::Batch => call.batch(body).await,
        Action::Flock => call.flock(),
        Action::Invite => call.invite().await,
        Action::Remove => call.remove().await,
    };
    answer.unwrap_or_else(error::answer)
}

/// One request, its body apart.
struct Call<'a> {
    shared: &'a Shared,
    deadline: Instant,
    parts: &'a Parts,
}

type Reply = Result<Response, Error>;

impl Call<'_> {
    fn query(&self, known: &[&'static str]) -> Result<Query, Error> {
        Query::parse(self.parts.uri.query(), known)
    }

    fn role(&self) -> NodeRole {
        self.shared.admin.status().role
    }

    async fn elsewhere(&self) -> Result<Option<Response>, Error> {
        elsewhere(self.shared, self.parts, self.deadline).await
    }

    async fn read(&self) -> Reply {
        let query = self.query(&["key", "mode", "consistency"])?;
        let (name, mode) = (query.needed("key")?, ReadMode::of(&query)?);
        let key = convert::key(name)?;
        self.shared.service.limits().admit_key(&key)?;
        if mode == ReadMode::Leader
            && let Some(redirect) = self.elsewhere().await?
        {
            return Ok(redirect);
        }
        let role = self.role();
        // A node that waits to be invited has no data, which is an answer.
        let record = if mode == ReadMode::Any && role == NodeRole::Waiting {
            None
        } else {
            layers::get(self.shared, key, mode.consistency(), self.deadline).await?.record
        };
        let state = convert::state(role);
        Ok(match record {
            Some(record) => {
                let value = convert::shown(&record.value);
                reply(StatusCode::OK, &ReadBody { state, key: name, value: &value })
            }
            None => {
                let body = MissingBody { state, key: name, missing: true };
                reply(StatusCode::NOT_FOUND, &body)
            }
        })
    }

    async fn set(&self) -> Reply {
        let query = self.query(&["key", "val"])?;
        let key = convert::key(query.needed("key")?)?;
        let value = convert::value(query.needed("val")?);
        self.write(vec![Write::Put { key, value, lease: 0 }]).await
    }

    async fn delete(&self) -> Reply {
        let key = convert::key(self.query(&["key"])?.needed("key")?)?;
        self.write(vec![Write::Delete { key }]).await
    }

    async fn batch(&self, body: Body) -> Reply {
        self.query(&[])?;
        let bytes_max = self.shared.service.limits().request_bytes_max;
        let too_large = |length| {
            let detail = format!("the batch has {length} bytes, the limit is {bytes_max}");
            Error::new(ErrorCode::RequestTooLarge, detail).hint("split the batch")
        };
        let body = layers::read(body, bytes_max, self.deadline).await;
        let writes = convert::batch(&body.map_err(|error| error.explain(too_large))?)?;
        self.write(writes).await
    }

    /// Writes on the leader, all or nothing.
    async fn write(&self, writes: Vec<Write>) -> Reply {
        if let Some(redirect) = self.elsewhere().await? {
            return Ok(redirect);
        }
        // An empty batch is carried out without doing anything.
        if !writes.is_empty() {
            layers::write_all(self.shared, writes, self.deadline).await?;
        }
        Ok(accepted())
    }

    async fn compare_and_set(&self) -> Reply {
        let query = self.query(&["key", "val", "prevValue"])?;
        let name = query.needed("key")?;
        let key = convert::key(name)?;
        let value = convert::value(query.needed("val")?);
        let previous = convert::value(query.needed("prevValue")?);
        if let Some(redirect) = self.elsewhere().await? {
            return Ok(redirect);
        }
        let value_changed = self.swap(key, convert::shown(&previous).get(), value).await?;
        let state = convert::state(self.role());
        Ok(reply(StatusCode::OK, &CasBody { state, key: name, value_changed }))
    }

    /// Writes `value` if the key's value means the same as `previous`; a key that does not exist
    /// has the value `null`. Compares and writes in two steps, of which the second demands that
    /// nobody wrote in between; if somebody did, both are made again.
    async fn swap(&self, key: Key, previous: &str, value: Value) -> Result<bool, Error> {
        let linearizable = ReadMode::Quorum.consistency();
        loop {
            let found =
                layers::get(self.shared, key.clone(), linearizable, self.deadline).await?.record;
            let current = found.as_ref().map(|record| convert::shown(&record.value));
            if !equal(current.as_deref().map_or("null", |json| json.get()), previous) {
                return Ok(false);
            }
            let test = found.map_or(Test::Absent, |record| Test::Revision(record.mod_revision));
            let command = Command::put(key.clone(), value.clone()).only_if(key.clone(), test);
            match layers::write(self.shared, command, self.deadline).await? {
                Outcome::Written(_) => return Ok(true),
                Outcome::Refused(_) if Instant::now() < self.deadline => {}
                Outcome::Refused(_) | Outcome::KeyReused { .. } => {
                    let detail = format!("{} was written by others all the time", lossy(&key));
                    return Err(Error::new(ErrorCode::Timeout, detail).retry_after(1_000));
                }
            }
        }
    }

    fn flock(&self) -> Reply {
        self.query(&[])?;
        let admin = &self.shared.admin;
        Ok(reply(StatusCode::OK, &convert::flock(&admin.status(), admin.cluster())))
    }

    async fn invite(&self) -> Reply {
        let query = self.query(&["url", "name"])?;
        let url = query.needed("url")?;
        let address = layers::peer_address("url", &convert::with_port(url))
            .map_err(|error| error.hint("it is where clients reach the node: http://HOST:PORT"))?;
        let name = query.text("name").filter(|name| !name.is_empty()).map(str::to_owned);
        if let Some(redirect) = self.elsewhere().await? {
            return Ok(redirect);
        }
        let peer = match &self.shared.neighbors {
            None => None,
            Some(neighbors) => {
                let until = self.deadline.min(Instant::now() + NEIGHBOR_PATIENCE);
                let answer = neighbors.peer_address(format!("http://{address}"), until);
                layers::within(until, answer).await.inspect_err(|error| {
                    tracing::debug!(%address, code = %error.code, "a node cannot be asked for its peer address");
                }).ok()
            }
        };
        // A node that does not run yet is awaited at the address it was named by, under the name
        // that it will have.
        let (peer, name) = match peer {
            Some(peer) => (peer, name),
            None => {
                let name = name.unwrap_or_else(|| convert::usual_name(&address).to_owned());
                (address, Some(name))
            }
        };
        layers::take_in(self.shared, peer, name, self.deadline).await?;
        Ok(accepted())
    }

    async fn remove(&self) -> Reply {
        let query = self.query(&["name"])?;
        let name = query.needed("name")?.to_owned();
        if let Some(redirect) = self.elsewhere().await? {
            return Ok(redirect);
        }
        let deadline = self.shared.change_deadline();
        let request = MemberRequest { step: MemberStep::Remove(name), force: false, deadline };
        layers::within(deadline, self.shared.admin.change_members(request)).await?;
        Ok(accepted())
    }
}

fn accepted() -> Response {
    layers::spoken(StatusCode::ACCEPTED.into_response())
}

fn lossy(key: &Key) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(key.as_bytes())
}
