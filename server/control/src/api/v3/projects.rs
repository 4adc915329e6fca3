//! `/v3/projects`.

use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::HeaderMap;
use axum::response::Response;
use portolan_core::command::{Command, Outcome};
use portolan_core::model::Project;
use portolan_shared::check::NAME_MAX;
use portolan_shared::ids::{ProjectId, UserId};
use portolan_shared::refusal::Refusal;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{DOMAIN_ID, Filters, Listing, Nothing, SelfLink, in_domain, url};
use crate::api::Api;
use crate::api::context::{Caller, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::{Body, required};
use crate::api::reply;

#[derive(Serialize)]
struct Wire {
    id: ProjectId,
    name: String,
    domain_id: &'static str,
    parent_id: &'static str,
    description: String,
    enabled: bool,
    is_domain: bool,
    tags: [(); 0],
    options: Nothing,
    links: SelfLink,
}

#[derive(Serialize)]
struct One {
    project: Wire,
}

fn wire(api: &Api, headers: &HeaderMap, project: &Project) -> Wire {
    Wire {
        id: project.id,
        name: project.name.clone(),
        domain_id: DOMAIN_ID,
        parent_id: DOMAIN_ID,
        description: project.description.clone(),
        enabled: project.enabled,
        is_domain: false,
        tags: [],
        options: Nothing {},
        links: SelfLink {
            this: url(api, headers, &format!("projects/{}", project.id)),
        },
    }
}

fn listing(caller: &Caller, headers: &HeaderMap, path: &str, projects: &[Arc<Project>]) -> Answer {
    let items: Vec<Wire> = projects
        .iter()
        .map(|project| wire(&caller.api, headers, project))
        .collect();
    reply::ok(&Listing {
        key: "projects",
        items: &items,
        link: url(&caller.api, headers, path),
    })
}

/// `GET /v3/projects`.
pub async fn list(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    caller.to_administer("list projects")?;
    let filters = Filters::of(&uri)?;
    let fits = |project: &&Arc<Project>| {
        filters.fits("name", &project.name)
            && filters.fits("domain_id", DOMAIN_ID)
            && filters.fits("parent_id", DOMAIN_ID)
            && filters.fits_flag("enabled", project.enabled)
            && filters.fits_flag("is_domain", false)
    };
    let found: Vec<Arc<Project>> = caller
        .api
        .control
        .read(|view| view.projects().filter(fits).cloned().collect());
    listing(&caller, &headers, "projects", &found)
}

fn roles_in(caller: &Caller, user: UserId) -> Vec<Arc<Project>> {
    let mine = caller.api.control.read(|view| view.projects_of(user));
    mine.into_iter().map(|(project, _)| project).collect()
}

/// `GET /v3/auth/projects`: those the caller has a role in.
pub async fn mine(caller: Caller, headers: HeaderMap) -> Answer {
    let mut projects = roles_in(&caller, caller.user.id);
    projects.retain(|project| project.enabled);
    listing(&caller, &headers, "auth/projects", &projects)
}

/// `GET /v3/users/{id}/projects`.
pub async fn of_user(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    let user: UserId = path.id("id", "user")?;
    if user != caller.user.id {
        caller.to_administer("list another user's projects")?;
    }
    caller
        .api
        .control
        .read(|view| view.user(user).is_some())
        .then_some(())
        .ok_or_else(|| Failure::not_found("user", &user.to_string()))?;
    listing(
        &caller,
        &headers,
        &format!("users/{user}/projects"),
        &roles_in(&caller, user),
    )
}

/// The project with this id, if the caller is an administrator or has a role in it.
pub(super) fn find(caller: &Caller, path: &Segments) -> Result<Arc<Project>, Failure> {
    let id: ProjectId = path.id("id", "project")?;
    let found = caller.api.control.read(|view| {
        let sees = caller.overall.admin || !view.roles(caller.user.id, id).is_empty();
        view.project(id).filter(|_| sees).cloned()
    });
    found.ok_or_else(|| Failure::not_found("project", &id.to_string()))
}

/// `GET /v3/projects/{id}`.
pub async fn show(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    let project = find(&caller, &path)?;
    reply::ok(&One {
        project: wire(&caller.api, &headers, &project),
    })
}

/// `POST /v3/projects`.
pub async fn create(caller: Caller, headers: HeaderMap, body: Body) -> Answer {
    caller.to_administer("create projects")?;
    let mut fields = body.one("project")?;
    fields.read_only(&["id", "links"])?;
    in_domain(&mut fields)?;
    for (field, only) in [
        ("is_domain", json!(false)),
        ("enabled", json!(true)),
        ("tags", json!([])),
    ] {
        fields.only(field, &only)?;
    }
    fields.only("options", &json!({}))?;
    match fields.take("parent_id") {
        None | Some(Json::Null) => {}
        Some(parent) if parent == DOMAIN_ID => {}
        Some(_) => return Err(super::super::fields::wrong_type("parent_id", "the domain's id").into()),
    }
    let name = required("name", fields.text("name", NAME_MAX)?)?;
    let description = match fields.take("description") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => portolan_shared::check::text("description", &text, NAME_MAX)?,
        Some(_) => return Err(super::super::fields::wrong_type("description", "a string").into()),
    };
    fields.end()?;
    if name.is_empty() {
        return Err(Refusal::TooShort {
            field: "name".to_owned(),
            min: 1,
            length: 0,
        }
        .into());
    }
    let command = Command::CreateProject { name, description };
    let made = |outcome: Outcome| {
        let project = outcome.made::<Project>().ok_or(Failure::Internal)?;
        reply::created(&One {
            project: wire(&caller.api, &headers, &project),
        })
    };
    caller.create(&body.0, || Ok(command), made).await
}

/// `DELETE /v3/projects/{id}`.
pub async fn delete(caller: Caller, path: Segments) -> Result<Response, Failure> {
    caller.to_administer("delete projects")?;
    let project = find(&caller, &path)?;
    caller.write(Command::DeleteProject(project.id)).await?;
    Ok(reply::nothing())
}
