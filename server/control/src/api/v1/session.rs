//! `/portolan/v1/session`: the console's log-in.
//!
//! The secret is in a cookie that scripts cannot read and other sites cannot send; the CSRF secret
//! is in the answer and comes back in a header.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use portolan_core::command::{Command, Proof};
use portolan_core::model::{Role, Session, User};
use portolan_core::view::View;
use portolan_shared::check::shortened;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ChangeSession, LANGUAGES, LogIn, ProjectRef, Session as Answered, UserRef};

use crate::api::Api;
use crate::api::context::{COOKIE, Caller, Peer};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;
use crate::identity::login::{Kind, begin, by_password};
use crate::identity::rights::everywhere;

/// Projects of a user, by name: those with a role, and all for who sees all.
fn projects(view: &View, user: &User) -> Vec<ProjectRef> {
    let everywhere = everywhere(view, user.id);
    let names = |roles: &mut Vec<Role>| -> Vec<String> {
        roles.extend(&everywhere);
        roles.sort_unstable();
        roles.dedup();
        roles.iter().map(|role| role.name().to_owned()).collect()
    };
    let reference = |project: &portolan_core::model::Project, mut roles: Vec<Role>| ProjectRef {
        id: project.id,
        name: project.name.clone(),
        roles: names(&mut roles),
    };
    let mut found: Vec<ProjectRef> = if everywhere.is_empty() {
        let mine = view
            .projects_of(user.id)
            .into_iter()
            .filter(|(project, _)| project.enabled);
        mine.map(|(project, roles)| reference(&project, roles)).collect()
    } else {
        view.projects()
            .map(|project| reference(project, view.roles(user.id, project.id)))
            .collect()
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn answer(api: &Api, user: &User, session: &Session) -> Result<Answered, Failure> {
    let csrf = session.csrf.clone().ok_or(Refusal::AuthRequired {})?;
    let (projects, everywhere) = api
        .control
        .read(|view| (projects(view, user), everywhere(view, user.id)));
    Ok(Answered {
        user: UserRef {
            id: user.id,
            name: user.name.clone(),
        },
        projects,
        support: !everywhere.is_empty(),
        admin: everywhere.contains(&Role::Admin),
        language: user.language.clone(),
        lab: api.lab,
        csrf,
    })
}

fn set_cookie(api: &Api, response: &mut Response, secret: &str, seconds: i64) -> Result<(), Failure> {
    let secure = if api.secure() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&cookie).map_err(|_| Failure::Internal)?;
    value.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}

/// Refuses what a page of another site makes a browser send: it would log somebody in as somebody
/// else. Browsers say so themselves (Fetch Metadata, `Sec-Fetch-Site`); other clients say nothing.
fn same_site(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refusal::Csrf {}),
    }
}

/// `POST /portolan/v1/session`.
pub async fn create(State(api): State<Arc<Api>>, peer: Peer, headers: HeaderMap, body: Body) -> Answer {
    same_site(&headers)?;
    let log_in: LogIn = body.read()?;
    api.control.current().await?;
    let user = api.control.read(|view| view.user_by_name(&log_in.user).cloned());
    let asker = peer.asks_for(&log_in.user);
    let user = by_password(&api.control, &api.passwords, user, &log_in.password, asker).await?;
    let proof = Proof::Password(user.password_hash.clone());
    let begun = begin(&api.control, &user, Kind::Console, proof).await?;
    let mut response = reply::ok(&answer(&api, &user, &begun.session)?)?;
    let lasts = begun.session.expires_at - begun.session.issued_at;
    set_cookie(&api, &mut response, &begun.secret, lasts / 1_000_000)?;
    Ok(response)
}

/// `GET /portolan/v1/session`.
pub async fn show(caller: Caller) -> Answer {
    reply::ok(&answer(&caller.api, &caller.user, &caller.session)?)
}

/// `PUT /portolan/v1/session`: what the user chose, kept with the account.
pub async fn update(caller: Caller, body: Body) -> Answer {
    // A token has no console of its own.
    if caller.session.csrf.is_none() {
        return Err(Refusal::AuthRequired {}.into());
    }
    let ChangeSession { language } = body.read()?;
    if let Some(tag) = language.as_deref()
        && !LANGUAGES.contains(&tag)
    {
        return Err(Refusal::NotOneOf {
            field: "language".to_owned(),
            given: shortened(tag),
            allowed: LANGUAGES.join(", "),
        }
        .into());
    }
    let user = caller.user.id;
    let outcome = caller.write(Command::SetLanguage { user, language }).await?;
    let user = outcome.made::<User>().ok_or(Failure::Internal)?;
    reply::ok(&answer(&caller.api, &user, &caller.session)?)
}

/// `DELETE /portolan/v1/session`.
pub async fn delete(caller: Caller) -> Result<Response, Failure> {
    // A token has no session of the console's to end; it is ended at `/v3/auth/tokens`.
    if caller.session.csrf.is_none() {
        return Err(Refusal::AuthRequired {}.into());
    }
    if !caller.api.control.unwritten().end(&caller.session.hash) {
        caller.write(Command::DeleteSession(caller.session.hash)).await?;
    }
    let mut response = reply::nothing();
    set_cookie(&caller.api, &mut response, "", 0)?;
    Ok(response)
}
