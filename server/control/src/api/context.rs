//! Who calls, in which project, with what rights. One extractor checks all of it: a handler that gets a [`Call`] has an
//! authorised caller.
//!
//! A caller shows a token (`X-Auth-Token`) or the console's session cookie. With the cookie, the
//! project is in the path or in `X-Portolan-Project`, and everything that writes needs the
//! session's CSRF secret in `X-CSRF-Token`: a page of another origin can neither read nor send it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use portolan_core::access::{Owned, Scope};
use portolan_core::command::{Actor, Command, Outcome, Request, Via};
use portolan_core::model::{Micros, Project, Session, User};
use portolan_core::view::View;
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::Through;

use super::Api;
use super::error::Failure;
use super::request_id::RequestId;
use crate::control::Control;
use crate::identity::password::Asker;
use crate::identity::rights::{Rights, overall, rights};
use crate::identity::secret;

/// Most characters of an `Idempotency-Key`.
const KEY_MAX: usize = 64;

/// Name of the console's cookie.
pub const COOKIE: &str = "portolan_session";

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Caller {
    /// Everything handlers share.
    pub api: Arc<Api>,
    /// The user who is logged in.
    pub user: Arc<User>,
    /// The session or token that let the user in.
    pub session: Arc<Session>,
    /// What it may do in every project.
    pub overall: Rights,
    /// The time of the call.
    pub now: Micros,
    /// The `Idempotency-Key`, if the call has one.
    pub(super) key: Option<String>,
    /// Through what, and as which request.
    via: Via,
    /// Method and path, for the digest of an idempotent call.
    pub(super) route: String,
}

/// Somebody who calls in a project.
#[derive(Clone)]
pub struct Call {
    /// The user, and the session or token that was shown.
    pub caller: Caller,
    /// The project: of the path, of the header or of the token.
    pub project: Arc<Project>,
    /// What the caller may do there.
    pub rights: Rights,
    /// `If-Match: revision_number=N`.
    if_match: Option<u64>,
}

/// A caller who is of support or an administrator, in any project or none.
#[derive(Clone)]
pub struct Desk {
    /// The user, and the session or token that was shown.
    pub caller: Caller,
}

/// The secret of a session of the console in a request's cookies.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A session or token by its secret, if it still lets its user in.
pub fn live(control: &Control, view: &View, secret: &str, now: Micros) -> Option<(Arc<Session>, Arc<User>)> {
    if secret.len() > 128 {
        return None;
    }
    let session = control.session(view, &secret::hash(secret))?;
    let user = Arc::clone(view.user(session.user)?);
    alive(view, &session, now).then_some((session, user))
}

/// Whether a session still lets its user in: not ended, not expired, the user enabled, a role left
/// in the project it is scoped to.
pub fn alive(view: &View, session: &Session, now: Micros) -> bool {
    let user = view.user(session.user).is_some_and(|user| user.enabled);
    let scope = session.project.is_none_or(|project| {
        view.project(project).is_some_and(|project| project.enabled) && !view.roles(session.user, project).is_empty()
    });
    user && scope && !session.has_ended(now)
}

impl Caller {
    fn from_parts(parts: &Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        let headers = &parts.headers;
        let token = text(headers, "x-auth-token");
        let by_cookie = token.is_none();
        let secret = token.or_else(|| cookie(headers)).ok_or(Refusal::AuthRequired {})?;
        let now = api.control.now();
        let (session, user, overall) = api
            .control
            .read(|view| {
                let (session, user) = live(&api.control, view, secret, now)?;
                let overall = overall(view, &session);
                Some((session, user, overall))
            })
            .ok_or(Refusal::AuthExpired {})?;
        // A token does not work as a cookie, nor a cookie as a token: each has its own rules.
        if by_cookie != session.csrf.is_some() {
            return Err(Refusal::AuthExpired {});
        }
        let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(csrf) = session.csrf.as_deref()
            && !reads
            && !text(headers, "x-csrf-token").is_some_and(|given| secret::same(given, csrf))
        {
            return Err(Refusal::Csrf {});
        }
        let key = idempotency_key(headers)?;
        let via = Via {
            through: if session.csrf.is_some() {
                Through::Console
            } else {
                Through::Api
            },
            request: parts.extensions.get::<RequestId>().and_then(RequestId::uuid),
        };
        let route = format!("{} {}", parts.method, parts.uri.path());
        Ok(Self {
            api: Arc::clone(api),
            user,
            session,
            overall,
            now,
            key,
            via,
            route,
        })
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// If the caller is no administrator.
    pub fn to_administer(&self, action: &str) -> Result<(), Refusal> {
        self.overall.to_administer(action)
    }

    /// Asks the writer for something that is in no project: accounts, sessions, what support decides.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn write(&self, command: Command) -> Result<Outcome, Refusal> {
        self.api.control.write(self.request(command)).await
    }

    /// A request in no project, as far as the caller reaches.
    pub(super) fn request(&self, command: Command) -> Request {
        let scope = Scope::nowhere(self.overall.elsewhere());
        Request::new(self.actor(), self.via, scope, command)
    }

    /// Who asks, for the change table.
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.id)
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        api.control.current().await?;
        Ok(Self::from_parts(parts, api)?)
    }
}

impl FromRequestParts<Arc<Api>> for Desk {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, api).await?;
        caller.overall.to_support("work as support")?;
        Ok(Self { caller })
    }
}

impl Desk {
    /// The core.
    pub fn control(&self) -> &crate::control::Control {
        &self.caller.api.control
    }
}

impl FromRequestParts<Arc<Api>> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        api.control.current().await?;
        let caller = Caller::from_parts(parts, api)?;
        let path = RawPathParams::from_request_parts(parts, api)
            .await
            .map_err(|_| Failure::NoRoute)?;
        let named = path
            .iter()
            .find(|(name, _)| *name == "project")
            .map(|(_, id)| id.to_owned());
        let given = match (&named, caller.session.project) {
            (Some(id), _) => Some(id.as_str()),
            (None, Some(_)) => None,
            (None, None) => text(&parts.headers, "x-portolan-project"),
        };
        let not_found = |id: &str| Refusal::NotFound {
            kind: "project".to_owned(),
            id: portolan_shared::check::shortened(id),
        };
        let id: ProjectId = match given {
            Some(given) => given.parse().map_err(|_| not_found(given))?,
            None => caller.session.project.ok_or(Refusal::NoProject {})?,
        };
        let (project, rights) = api
            .control
            .read(|view| {
                let rights = rights(view, &caller.session, id);
                let project = view
                    .project(id)
                    .filter(|project| project.enabled || rights.sees_everything())?;
                rights.read.then(|| (Arc::clone(project), rights))
            })
            .ok_or_else(|| not_found(&id.to_string()))?;
        let if_match = if_match(&parts.headers)?;
        Ok(Self {
            caller,
            project,
            rights,
            if_match,
        })
    }
}

/// The idempotency key of a call.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let field = || "Idempotency-Key".to_owned();
    let key = value.to_str().unwrap_or("");
    if key.len() != value.len() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::NotOneOf {
            field: field(),
            given: portolan_shared::check::shortened(&String::from_utf8_lossy(value.as_bytes())),
            allowed: "visible ASCII characters without spaces".to_owned(),
        });
    }
    if key.is_empty() {
        return Err(Refusal::TooShort {
            field: field(),
            min: 1,
            length: 0,
        });
    }
    if key.len() > KEY_MAX {
        return Err(Refusal::TooLong {
            field: field(),
            max: KEY_MAX,
            length: key.len(),
        });
    }
    Ok(Some(key.to_owned()))
}

/// `If-Match: revision_number=N`, as Neutron has it; anything else there is refused.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().strip_prefix("revision_number="));
    let number = number.and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(|| Refusal::WrongType {
        field: "If-Match".to_owned(),
        expected: "revision_number= and a number".to_owned(),
    })
}

impl Call {
    /// The core.
    pub fn control(&self) -> &crate::control::Control {
        &self.caller.api.control
    }

    /// How far the call reaches.
    pub fn scope(&self) -> Scope {
        self.rights.scope(self.project.id)
    }

    /// Whether the caller may read an object.
    pub fn reads(&self, object: &impl Owned) -> bool {
        self.scope().reads(object)
    }

    /// Refuses callers who may not change what is in the project.
    ///
    /// # Errors
    /// If the caller only reads.
    pub fn to_write(&self, action: &str) -> Result<(), Refusal> {
        self.rights.to_write(action)
    }

    /// The project whose objects a list is of; `None`: all.
    pub fn listed(&self) -> Option<ProjectId> {
        (!self.scope().reads_everything()).then_some(self.project.id)
    }

    /// Asks the writer to change or delete.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn write(&self, command: Command) -> Result<Outcome, Refusal> {
        self.caller.api.control.write(self.request(command)).await
    }

    /// A request in the project, as far as the caller reaches.
    pub(super) fn request(&self, command: Command) -> Request {
        Request {
            if_match: self.if_match,
            ..Request::new(self.caller.actor(), self.caller.via, self.scope(), command)
        }
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<std::net::IpAddr>);

impl Peer {
    /// Who asks for a password to be checked, under this name.
    pub fn asks_for(self, user: &str) -> Asker<'_> {
        Asker { address: self.0, user }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

/// The parameters of a path.
pub struct Segments(Vec<(String, String)>);

impl Segments {
    /// A parameter as it is.
    pub fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// An id of a `kind`.
    ///
    /// # Errors
    /// Text that is not an id is answered as not found.
    pub fn id<T: std::str::FromStr>(&self, name: &str, kind: &str) -> Result<T, Failure> {
        let text = self.text(name);
        text.parse().map_err(|_| Failure::not_found(kind, text))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::NoRoute)?;
        Ok(Self(
            path.iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }
}

/// The id of this request.
impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or(Failure::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |value| cookie(&headers(&[("cookie", value)])).map(ToOwned::to_owned);
        assert_eq!(found("a=b; portolan_session=x; c=d").as_deref(), Some("x"));
        assert_eq!(found("portolan_sessions=x; xportolan_session=y"), None);
        assert_eq!(found("portolan_session=").as_deref(), Some(""));
        let two = headers(&[("cookie", "a=b"), ("cookie", "portolan_session=z")]);
        assert_eq!(cookie(&two), Some("z"));
    }

    #[test]
    fn only_a_revision_number_can_be_matched() {
        let read = |value| if_match(&headers(&[("if-match", value)])).map_err(|refusal| refusal.code());
        assert_eq!(read("revision_number=7"), Ok(Some(7)));
        for bad in ["7", "*", "revision_number=", "revision_number=-1", "revision_number=1x"] {
            assert_eq!(read(bad), Err("value.wrong_type"), "{bad}");
        }
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
    }
}
