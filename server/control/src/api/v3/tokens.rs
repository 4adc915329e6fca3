//! `/v3/auth/tokens`: log in, look at a token, end it.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_core::command::{Command, Proof};
use portolan_core::model::{Micros, Project, Role, Session, User};
use portolan_core::view::View;
use portolan_shared::ids::{ProjectId, RoleId, UserId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use serde::{Deserialize, Serialize};

use super::{DOMAIN, DOMAIN_ID, DOMAIN_NAME, DomainRef, Service, services};
use crate::api::Api;
use crate::api::context::{Caller, Peer, live};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;
use crate::control::Control;
use crate::identity::login::{Kind, begin, by_password};

const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

#[derive(Deserialize)]
struct AuthBody {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    #[serde(default)]
    scope: Option<ScopeInput>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    #[serde(default)]
    password: Option<PasswordInput>,
    #[serde(default)]
    token: Option<TokenInput>,
}

#[derive(Deserialize)]
struct PasswordInput {
    user: UserInput,
}

#[derive(Deserialize)]
struct UserInput {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    domain: Option<DomainInput>,
    password: String,
}

#[derive(Deserialize)]
struct TokenInput {
    id: String,
}

#[derive(Deserialize)]
struct DomainInput {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScopeInput {
    Word(String),
    Object(ScopeObject),
}

#[derive(Deserialize)]
struct ScopeObject {
    #[serde(default)]
    project: Option<ProjectInput>,
    #[serde(default)]
    domain: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    system: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ProjectInput {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    domain: Option<DomainInput>,
}

impl DomainInput {
    fn is_ours(&self) -> bool {
        self.id.as_deref().is_none_or(|id| id == DOMAIN_ID)
            && self
                .name
                .as_deref()
                .is_none_or(|name| name.eq_ignore_ascii_case(DOMAIN_NAME))
    }
}

#[derive(Serialize)]
struct TokenBody {
    token: Token,
}

#[derive(Serialize)]
struct Token {
    methods: Vec<&'static str>,
    user: UserRef,
    audit_ids: [String; 1],
    expires_at: String,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<ProjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_domain: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<RoleRef>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<[Service; 3]>,
}

#[derive(Serialize)]
struct UserRef {
    id: UserId,
    name: String,
    domain: DomainRef,
    password_expires_at: Option<String>,
}

#[derive(Serialize)]
struct ProjectRef {
    id: ProjectId,
    name: String,
    domain: DomainRef,
}

#[derive(Serialize)]
struct RoleRef {
    id: RoleId,
    name: &'static str,
}

/// Roles with those they imply, as Keystone has it: an admin is a member, a member a reader.
fn with_implied(roles: &[Role]) -> Vec<RoleRef> {
    let implied = |role: &Role| match role {
        Role::Admin => vec![Role::Admin, Role::Member, Role::Reader],
        Role::Member => vec![Role::Member, Role::Reader],
        other => vec![*other],
    };
    let mut all: Vec<Role> = roles.iter().flat_map(implied).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
        .map(|role| RoleRef {
            id: role.id(),
            name: role.name(),
        })
        .collect()
}

/// A token as its answers show it.
fn token(view: &View, session: &Session, methods: Vec<&'static str>, base: Option<&str>) -> Option<TokenBody> {
    let user = view.user(session.user)?;
    let project = session.project.and_then(|id| view.project(id));
    let roles = project.map(|project| with_implied(&view.roles(user.id, project.id)));
    Some(TokenBody {
        token: Token {
            methods,
            user: UserRef {
                id: user.id,
                name: user.name.clone(),
                domain: DOMAIN,
                password_expires_at: None,
            },
            audit_ids: [URL_SAFE_NO_PAD.encode(&session.hash[..16])],
            expires_at: Time(session.expires_at).precise(),
            issued_at: Time(session.issued_at).precise(),
            is_domain: project.map(|_| false),
            catalog: project.and(base).map(services),
            project: project.map(|p| ProjectRef {
                id: p.id,
                name: p.name.clone(),
                domain: DOMAIN,
            }),
            roles,
        },
    })
}

/// The user that a log-in names, if there is one.
fn named(control: &Control, input: &UserInput) -> Option<Arc<User>> {
    control.read(|view| match (&input.id, &input.name) {
        (Some(id), _) => view.user(id.parse().ok()?).cloned(),
        (None, Some(name)) if input.domain.as_ref().is_none_or(DomainInput::is_ours) => {
            view.user_by_name(name).cloned()
        }
        _ => None,
    })
}

/// The project that a log-in asks to be scoped to.
fn scope(control: &Control, user: &User, scope: Option<&ScopeInput>) -> Result<Option<Arc<Project>>, Refusal> {
    control.read(|view| {
        let enters = |project: &&Arc<Project>| project.enabled && !view.roles(user.id, project.id).is_empty();
        let asked = match scope {
            // Nothing said: the default project, if it can be entered.
            None => {
                let default = user.default_project.and_then(|id| view.project(id));
                return Ok(default.filter(enters).cloned());
            }
            Some(ScopeInput::Word(word)) if word == "unscoped" => return Ok(None),
            Some(ScopeInput::Word(_)) => return Err(Refusal::AuthFailed {}),
            Some(ScopeInput::Object(scope)) => match (&scope.project, &scope.domain, &scope.system) {
                (Some(project), None, None) => project,
                (None, None, None) => return Ok(None),
                _ => return Err(Refusal::AuthFailed {}),
            },
        };
        let found = match (&asked.id, &asked.name) {
            (Some(id), _) => id.parse().ok().and_then(|id| view.project(id)),
            (None, Some(name)) if asked.domain.as_ref().is_none_or(DomainInput::is_ours) => view.project_by_name(name),
            _ => None,
        };
        found.filter(enters).cloned().map(Some).ok_or(Refusal::AuthFailed {})
    })
}

/// `POST /v3/auth/tokens`.
pub async fn create(
    State(api): State<Arc<Api>>,
    peer: Peer,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
    body: Body,
) -> Answer {
    let AuthBody { auth } = body.read()?;
    let control = &api.control;
    control.current().await?;
    let method = auth.identity.methods.first().map(String::as_str);
    let (user, until, methods, proof): (Arc<User>, Option<Micros>, _, _) = match (method, &auth.identity) {
        (
            Some("password"),
            Identity {
                password: Some(input), ..
            },
        ) => {
            let user = named(control, &input.user);
            let asker = peer.asks_for(
                input
                    .user
                    .name
                    .as_ref()
                    .or(input.user.id.as_ref())
                    .map_or("", String::as_str),
            );
            let user = by_password(control, &api.passwords, user, &input.user.password, asker).await?;
            let proof = Proof::Password(user.password_hash.clone());
            (user, None, vec!["password"], proof)
        }
        (Some("token"), Identity { token: Some(input), .. }) => {
            let now = control.now();
            let (session, user) = control
                .read(|view| live(control, view, &input.id, now))
                .ok_or(Refusal::AuthFailed {})?;
            if session.csrf.is_some() {
                return Err(Refusal::AuthFailed {}.into());
            }
            let methods = vec!["token", "password"];
            (user, Some(session.expires_at), methods, Proof::Session(session.hash))
        }
        (Some("password" | "token"), _) => {
            return Err(Refusal::Required {
                field: "auth.identity".to_owned(),
            }
            .into());
        }
        _ => return Err(Refusal::AuthFailed {}.into()),
    };
    let project = scope(control, &user, auth.scope.as_ref())?.map(|project| project.id);
    let begun = begin(control, &user, Kind::Token { project, until }, proof).await?;
    let base = with_catalog(&api, &headers, uri.query());
    let body = control
        .read(|view| token(view, &begun.session, methods, base.as_deref()))
        .ok_or(Failure::Internal)?;
    subject(reply::created(&body)?, &begun.secret)
}

fn with_catalog(api: &Api, headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let without = query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("nocatalog")));
    (!without).then(|| api.base(headers))
}

fn subject(mut response: Response, secret: &str) -> Answer {
    let mut value = HeaderValue::from_str(secret).map_err(|_| Failure::Internal)?;
    value.set_sensitive(true);
    response.headers_mut().insert(SUBJECT, value);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    Ok(response)
}

/// The token that a call is about: the caller's own, or any for an administrator.
fn subject_of(caller: &Caller, headers: &HeaderMap) -> Result<(Arc<Session>, String), Failure> {
    let text = headers.get(SUBJECT).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| Refusal::Required {
        field: "X-Subject-Token".to_owned(),
    })?;
    let control = &caller.api.control;
    let found = control.read(|view| live(control, view, text, caller.now));
    match found {
        Some((session, _)) if session.csrf.is_none() && (caller.overall.admin || session.user == caller.user.id) => {
            Ok((session, text.to_owned()))
        }
        _ => Err(Refusal::NotFound {
            kind: "token".to_owned(),
            id: "given".to_owned(),
        }
        .into()),
    }
}

/// `GET` and `HEAD /v3/auth/tokens`.
pub async fn show(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let (session, secret) = subject_of(&caller, &headers)?;
    let base = with_catalog(&caller.api, &headers, uri.query());
    let body = caller
        .api
        .control
        .read(|view| token(view, &session, vec!["password"], base.as_deref()));
    subject(reply::json(StatusCode::OK, &body.ok_or(Failure::Internal)?)?, &secret)
}

/// `DELETE /v3/auth/tokens`.
pub async fn delete(caller: Caller, headers: HeaderMap) -> Result<Response, Failure> {
    let (session, _) = subject_of(&caller, &headers)?;
    if !caller.api.control.unwritten().end(&session.hash) {
        caller.write(Command::DeleteSession(session.hash)).await?;
    }
    Ok(reply::nothing())
}
