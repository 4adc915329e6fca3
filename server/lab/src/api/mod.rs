//! What the lab asks of the control plane, over HTTP as anybody would: [`setup`] once, at the start, and [`nodes`] as
//! long as it runs.

pub mod nodes;
pub mod setup;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

/// The password of `admin` in a lab: a lab has no secrets.
pub const ADMIN_PASSWORD: &str = "admin-portolan";
/// The administrator's user and project.
pub(crate) const ADMIN: &str = "admin";
/// How long one call may take: hashing a password on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the event stream may be silent: it says something every 5 s.
const SILENCE: Duration = Duration::from_secs(20);

/// Why the control plane did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer, or none that is HTTP.
    #[error("{call}: {source}")]
    Call {
        /// Method and path.
        call: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// A refusal.
    #[error("{call}: the control plane answered {status}: {said}")]
    Refused {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The stable code, such as `node.name_taken`, if it has one.
        code: Option<String>,
        /// The sentence.
        said: String,
    },
    /// An answer without what it should have.
    #[error("{call}: the answer lacks {what}")]
    Lacks {
        /// Method and path.
        call: String,
        /// What is missing.
        what: &'static str,
    },
    /// The demo's cluster is of another kind.
    #[error("the cluster {0} in this database takes its nodes by join command: begin with an empty state directory")]
    ByCommand(String),
}

impl ApiError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// From a refusal's body, whichever of the APIs it comes from.
    fn refused(call: String, status: u16, body: &str) -> Self {
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        let problem = [&answer, &answer["NeutronError"], &answer["error"]]
            .into_iter()
            .find_map(|problem| Some((problem, problem["message"].as_str().or(problem["detail"].as_str())?)));
        let (code, said) = match problem {
            Some((problem, said)) => (problem["code"].as_str().map(str::to_owned), said),
            None => (None, body.trim()),
        };
        Self::Refused {
            call,
            status,
            code,
            said: said.to_owned(),
        }
    }
}

/// What a call carries besides its path.
#[derive(Clone, Copy, Default)]
struct Heads<'a> {
    token: Option<&'a str>,
    key: Option<&'a str>,
    after: Option<u64>,
}

/// A client of one control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    /// A client of the control plane that listens there.
    pub fn new(listen: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        Self {
            agent: config.build().into(),
            base: format!("http://{listen}"),
        }
    }

    /// Whether it serves.
    pub fn healthy(&self) -> bool {
        self.agent
            .get(format!("{}/healthz", self.base))
            .call()
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// A token for a user in a project.
    pub fn log_in(&self, user: &str, password: &str, project: &str) -> Result<String, ApiError> {
        let domain = json!({ "name": "Default" });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": user, "domain": domain, "password": password,
            } } },
            "scope": { "project": { "name": project, "domain": domain } },
        } });
        let path = "/v3/auth/tokens";
        let answer = self.call(Method::POST, path, Heads::default(), Some(&body))?;
        let token = answer
            .headers()
            .get("X-Subject-Token")
            .and_then(|token| token.to_str().ok());
        token.map(str::to_owned).ok_or_else(|| ApiError::Lacks {
            call: path.into(),
            what: "X-Subject-Token",
        })
    }

    /// Reads something with a token.
    pub fn read<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, ApiError> {
        self.json(Method::GET, path, Heads::of(token), None::<&()>)
    }

    /// Posts something with a token.
    pub fn write<T: DeserializeOwned>(&self, path: &str, token: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.json(Method::POST, path, Heads::of(token), Some(body))
    }

    /// Posts, with a token, where nothing is to be said and nothing comes back.
    pub fn act(&self, path: &str, token: &str) -> Result<(), ApiError> {
        self.call(Method::POST, path, Heads::of(token), None::<&()>).map(drop)
    }

    /// Deletes something with a token.
    pub fn delete(&self, path: &str, token: &str) -> Result<(), ApiError> {
        self.call(Method::DELETE, path, Heads::of(token), None::<&()>).map(drop)
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        heads: Heads<'_>,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let call = format!("{method} {path}");
        let mut answer = self.call(method, path, heads, body)?;
        answer.body_mut().read_json().map_err(|source| ApiError::Call {
            call,
            source: Box::new(source),
        })
    }

    /// One call; anything but a success is an error.
    fn call(
        &self,
        method: Method,
        path: &str,
        heads: Heads<'_>,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Body>, ApiError> {
        let call = format!("{method} {path}");
        let failed = |source: ureq::Error| ApiError::Call {
            call: call.clone(),
            source: Box::new(source),
        };
        // Else it sends that in a piece of its own, in which a server that has answered by then may not be interested any
        // more: it closes the connection, on which the next call is made.
        let says_nothing = body.is_none() && method == Method::PUT;
        let request = heads.onto(Request::builder().method(method).uri(format!("{}{path}", self.base)));
        let sent = match body {
            None if says_nothing => request
                .body(Vec::new())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            Some(body) => {
                let bytes = serde_json::to_vec(body).map_err(|error| failed(ureq::Error::Json(error)))?;
                let request = request.header("Content-Type", "application/json").body(bytes);
                request
                    .map_err(ureq::Error::from)
                    .and_then(|request| self.agent.run(request))
            }
        };
        let mut answer = sent.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        Err(ApiError::refused(call, status.as_u16(), &said))
    }

    /// Opens a stream of events, those after a revision if one is given; it has no end but the server's.
    fn stream(&self, path: &str, token: &str, after: Option<u64>) -> Result<impl BufRead + use<>, ApiError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(SILENCE))
            .proxy(None);
        let heads = Heads {
            after,
            ..Heads::of(token)
        };
        let endless = Self {
            agent: config.build().into(),
            base: self.base.clone(),
        };
        let answer = endless.call(Method::GET, path, heads, None::<&()>)?;
        Ok(BufReader::new(answer.into_body().into_reader()))
    }
}

impl<'a> Heads<'a> {
    fn of(token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..Self::default()
        }
    }

    fn onto(self, request: Builder) -> Builder {
        let after = self.after.map(|revision| revision.to_string());
        let all = [
            ("X-Auth-Token", self.token),
            ("Idempotency-Key", self.key),
            ("Last-Event-ID", after.as_deref()),
        ];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(request, |request, (name, value)| request.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_call_without_a_body_is_over_with_its_head() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Api::new(listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .unwrap();
            head.join("\n").to_lowercase()
        });
        api.call(Method::PUT, "/x", Heads::default(), None::<&()>).unwrap();
        let head = server.join().unwrap();
        assert!(
            head.contains("content-length: 0") && !head.contains("transfer-encoding"),
            "{head}"
        );
    }

    #[test]
    fn a_refusal_is_told_by_its_sentence_whichever_api_it_comes_from() {
        let said = |body: &str| match ApiError::refused("GET /x".into(), 409, body) {
            ApiError::Refused { code, said, .. } => (code, said),
            other => panic!("{other}"),
        };
        let problem = r#"{"type":"about:blank","status":409,"detail":"No lab runs.","code":"cluster.no_lab"}"#;
        assert_eq!(said(problem), (Some("cluster.no_lab".into()), "No lab runs.".into()));
        let neutron = r#"{"NeutronError":{"type":"Conflict","message":"It is taken.","detail":"","code":"ip.taken"}}"#;
        assert_eq!(said(neutron), (Some("ip.taken".into()), "It is taken.".into()));
        let identity = r#"{"error":{"code":401,"message":"Log in.","title":"Unauthorized"}}"#;
        assert_eq!(said(identity), (None, "Log in.".into()));
        assert_eq!(said(" plain\n"), (None, "plain".into()));
    }
}
