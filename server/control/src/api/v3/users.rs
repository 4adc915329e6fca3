//! `/v3/users`.

use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::HeaderMap;
use axum::response::Response;
use portolan_core::command::{Command, NewPassword, Outcome, UserChange};
use portolan_core::model::User;
use portolan_shared::check::NAME_MAX;
use portolan_shared::ids::{ProjectId, UserId};
use portolan_shared::refusal::Refusal;
use serde::Serialize;

use super::{DOMAIN_ID, Filters, Listing, Nothing, SelfLink, in_domain, url};
use crate::api::Api;
use crate::api::context::{Caller, Peer, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::{Body, Fields, Said, required, wrong_type};
use crate::api::reply;
use crate::identity::password;

#[derive(Serialize)]
struct Wire {
    id: UserId,
    name: String,
    domain_id: &'static str,
    enabled: bool,
    default_project_id: Option<ProjectId>,
    password_expires_at: Option<String>,
    options: Nothing,
    links: SelfLink,
}

#[derive(Serialize)]
struct One {
    user: Wire,
}

fn wire(api: &Api, headers: &HeaderMap, user: &User) -> Wire {
    Wire {
        id: user.id,
        name: user.name.clone(),
        domain_id: DOMAIN_ID,
        enabled: user.enabled,
        default_project_id: user.default_project,
        password_expires_at: None,
        options: Nothing {},
        links: SelfLink {
            this: url(api, headers, &format!("users/{}", user.id)),
        },
    }
}

/// `GET /v3/users`.
pub async fn list(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    caller.to_administer("list users")?;
    let filters = Filters::of(&uri)?;
    let fits = |user: &&Arc<User>| {
        filters.fits("name", &user.name)
            && filters.fits("domain_id", DOMAIN_ID)
            && filters.fits_flag("enabled", user.enabled)
    };
    let found: Vec<Arc<User>> = caller
        .api
        .control
        .read(|view| view.users().filter(fits).cloned().collect());
    let items: Vec<Wire> = found.iter().map(|user| wire(&caller.api, &headers, user)).collect();
    reply::ok(&Listing {
        key: "users",
        items: &items,
        link: url(&caller.api, &headers, "users"),
    })
}

/// The user with this id, if the caller is an administrator or that user.
fn find(caller: &Caller, path: &Segments, id: &str) -> Result<Arc<User>, Failure> {
    let id: UserId = path.id(id, "user")?;
    let found = caller.api.control.read(|view| view.user(id).cloned());
    found
        .filter(|user| caller.overall.admin || user.id == caller.user.id)
        .ok_or_else(|| Failure::not_found("user", &id.to_string()))
}

/// `GET /v3/users/{id}`.
pub async fn show(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    let user = find(&caller, &path, "id")?;
    reply::ok(&One {
        user: wire(&caller.api, &headers, &user),
    })
}

/// Attributes that clients send and nobody here needs: taken, not kept.
fn ignored(fields: &mut Fields) -> Result<(), Refusal> {
    for field in ["email", "description"] {
        match fields.take(field) {
            None | Some(serde_json::Value::Null | serde_json::Value::String(_)) => {}
            Some(_) => return Err(wrong_type(field, "a string")),
        }
    }
    fields.only("options", &serde_json::json!({}))
}

fn name(fields: &mut Fields) -> Result<Option<String>, Refusal> {
    match fields.text("name", NAME_MAX)? {
        Some(name) if name.is_empty() => Err(Refusal::TooShort {
            field: "name".to_owned(),
            min: 1,
            length: 0,
        }),
        name => Ok(name),
    }
}

fn default_project(caller: &Caller, fields: &mut Fields) -> Result<Said<ProjectId>, Refusal> {
    Ok(match fields.string("default_project_id")? {
        Said::Nothing => Said::Nothing,
        Said::Null => Said::Null,
        Said::Value(text) => {
            let id: ProjectId = super::super::fields::id("default_project_id", &text)?;
            let known = caller.api.control.read(|view| view.project(id).is_some());
            known.then_some(Said::Value(id)).ok_or_else(|| Refusal::NotFound {
                kind: "project".to_owned(),
                id: text,
            })?
        }
    })
}

/// `POST /v3/users`.
pub async fn create(caller: Caller, headers: HeaderMap, body: Body) -> Answer {
    caller.to_administer("create users")?;
    let mut fields = body.one("user")?;
    fields.read_only(&["id", "links"])?;
    in_domain(&mut fields)?;
    ignored(&mut fields)?;
    let name = required("name", name(&mut fields)?)?;
    let secret = required("password", fields.string("password")?.value())?;
    password::check("password", &secret)?;
    let default_project = default_project(&caller, &mut fields)?.value();
    let enabled = fields.flag("enabled")?.unwrap_or(true);
    fields.end()?;
    let user = User {
        id: caller.api.control.new_id().into(),
        name,
        password_hash: caller.api.passwords.hash(&secret).await?,
        enabled,
        default_project,
        language: None,
    };
    // Not the body: a fast hash of a password must be nowhere.
    let name = user.name.clone();
    let made = |outcome: Outcome| {
        let user = outcome.made::<User>().ok_or(Failure::Internal)?;
        reply::created(&One {
            user: wire(&caller.api, &headers, &user),
        })
    };
    caller
        .create(name.as_bytes(), || Ok(Command::CreateUser(user)), made)
        .await
}

/// `PATCH /v3/users/{id}`. A new password, or being disabled, ends the user's sessions and tokens.
pub async fn update(caller: Caller, headers: HeaderMap, path: Segments, body: Body) -> Answer {
    caller.to_administer("change users")?;
    let before = find(&caller, &path, "id")?;
    let mut fields = body.one("user")?;
    fields.read_only(&["id", "links"])?;
    in_domain(&mut fields)?;
    ignored(&mut fields)?;
    let mut change = UserChange {
        name: name(&mut fields)?,
        default_project: match default_project(&caller, &mut fields)? {
            Said::Nothing => None,
            said => Some(said.value()),
        },
        enabled: fields.flag("enabled")?,
        password: None,
    };
    let secret = fields.string("password")?.value();
    fields.end()?;
    if let Some(secret) = &secret {
        password::check("password", secret)?;
        change.password = Some(NewPassword {
            hash: caller.api.passwords.hash(secret).await?,
            replaces: None,
        });
    }
    let outcome = caller.write(Command::ChangeUser(before.id, change)).await?;
    let user = outcome.made::<User>().ok_or(Failure::Internal)?;
    reply::ok(&One {
        user: wire(&caller.api, &headers, &user),
    })
}

/// `POST /v3/users/{id}/password`: by whoever knows the old one. Whatever the old one began ends, this
/// token too.
pub async fn change_password(caller: Caller, peer: Peer, path: Segments, body: Body) -> Result<Response, Failure> {
    let before = find(&caller, &path, "id")?;
    let mut fields = body.one("user")?;
    let old = required("original_password", fields.string("original_password")?.value())?;
    let new = required("password", fields.string("password")?.value())?;
    fields.end()?;
    password::check("password", &new)?;
    let asker = peer.asks_for(&before.name);
    let known = Some(before.password_hash.as_str());
    if !caller.api.passwords.verify(&old, known, asker).await? {
        return Err(Refusal::AuthFailed {}.into());
    }
    let change = UserChange {
        password: Some(NewPassword {
            hash: caller.api.passwords.hash(&new).await?,
            replaces: Some(before.password_hash.clone()),
        }),
        ..UserChange::default()
    };
    caller.write(Command::ChangeUser(before.id, change)).await?;
    Ok(reply::nothing())
}

/// `DELETE /v3/users/{id}`.
pub async fn delete(caller: Caller, path: Segments) -> Result<Response, Failure> {
    caller.to_administer("delete users")?;
    let user = find(&caller, &path, "id")?;
    caller.write(Command::DeleteUser(user.id)).await?;
    Ok(reply::nothing())
}
