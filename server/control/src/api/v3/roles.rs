//! `/v3/roles`, `/v3/domains` and who has which role where.

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use portolan_core::command::Command;
use portolan_core::model::{Assignment, Role};
use portolan_shared::ids::{ProjectId, RoleId, UserId};
use serde::Serialize;

use super::{DOMAIN, DOMAIN_ID, DOMAIN_NAME, DomainRef, Filters, Listing, Nothing, SelfLink, url};
use crate::api::Api;
use crate::api::context::{Caller, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::reply;

#[derive(Serialize)]
struct RoleWire {
    id: RoleId,
    name: &'static str,
    domain_id: Option<&'static str>,
    description: Option<&'static str>,
    options: Nothing,
    links: SelfLink,
}

fn role_wire(api: &Api, headers: &HeaderMap, role: Role) -> RoleWire {
    RoleWire {
        id: role.id(),
        name: role.name(),
        domain_id: None,
        description: None,
        options: Nothing {},
        links: SelfLink {
            this: url(api, headers, &format!("roles/{}", role.id())),
        },
    }
}

fn roles(caller: &Caller, headers: &HeaderMap, path: &str, roles: impl IntoIterator<Item = Role>) -> Answer {
    let items: Vec<RoleWire> = roles
        .into_iter()
        .map(|role| role_wire(&caller.api, headers, role))
        .collect();
    reply::ok(&Listing {
        key: "roles",
        items: &items,
        link: url(&caller.api, headers, path),
    })
}

/// `GET /v3/roles`.
pub async fn list(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let filters = Filters::of(&uri)?;
    let found = Role::ALL.into_iter().filter(|role| filters.fits("name", role.name()));
    roles(&caller, &headers, "roles", found)
}

fn role(path: &Segments, name: &str) -> Result<Role, Failure> {
    let id: RoleId = path.id(name, "role")?;
    Role::ALL
        .into_iter()
        .find(|role| role.id() == id)
        .ok_or_else(|| Failure::not_found("role", &id.to_string()))
}

/// `GET /v3/roles/{id}`.
pub async fn show(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    #[derive(Serialize)]
    struct One {
        role: RoleWire,
    }
    reply::ok(&One {
        role: role_wire(&caller.api, &headers, role(&path, "id")?),
    })
}

#[derive(Serialize)]
struct DomainWire {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    enabled: bool,
    tags: [(); 0],
    options: Nothing,
    links: SelfLink,
}

fn domain_wire(api: &Api, headers: &HeaderMap) -> DomainWire {
    DomainWire {
        id: DOMAIN_ID,
        name: DOMAIN_NAME,
        description: "The only domain",
        enabled: true,
        tags: [],
        options: Nothing {},
        links: SelfLink {
            this: url(api, headers, &format!("domains/{DOMAIN_ID}")),
        },
    }
}

/// `GET /v3/domains` and `GET /v3/auth/domains`.
pub async fn domains(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let filters = Filters::of(&uri)?;
    let name = filters
        .get("name")
        .is_none_or(|name| name.eq_ignore_ascii_case(DOMAIN_NAME));
    let there = name && filters.fits_flag("enabled", true);
    let items: Vec<DomainWire> = there.then(|| domain_wire(&caller.api, &headers)).into_iter().collect();
    reply::ok(&Listing {
        key: "domains",
        items: &items,
        link: url(&caller.api, &headers, "domains"),
    })
}

/// `GET /v3/domains/{id}`.
pub async fn domain(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    #[derive(Serialize)]
    struct One {
        domain: DomainWire,
    }
    match path.text("id") {
        DOMAIN_ID => reply::ok(&One {
            domain: domain_wire(&caller.api, &headers),
        }),
        other => Err(Failure::not_found("domain", other)),
    }
}

/// The assignment that a path names; project and user are there.
fn assignment(caller: &Caller, path: &Segments) -> Result<Assignment, Failure> {
    let (project, user) = in_project(caller, path)?;
    Ok(Assignment {
        user,
        project,
        role: role(path, "role")?,
    })
}

fn in_project(caller: &Caller, path: &Segments) -> Result<(ProjectId, UserId), Failure> {
    caller.to_administer("look at or change who has which role")?;
    let (project, user): (ProjectId, UserId) = (path.id("id", "project")?, path.id("user", "user")?);
    caller.api.control.read(|view| {
        view.project(project)
            .ok_or_else(|| Failure::not_found("project", &project.to_string()))?;
        view.user(user)
            .ok_or_else(|| Failure::not_found("user", &user.to_string()))?;
        Ok((project, user))
    })
}

/// `PUT /v3/projects/{id}/users/{user}/roles/{role}`.
pub async fn assign(caller: Caller, path: Segments) -> Result<Response, Failure> {
    let assignment = assignment(&caller, &path)?;
    caller.write(Command::Assign(assignment)).await?;
    Ok(reply::nothing())
}

fn has(caller: &Caller, assignment: Assignment) -> bool {
    caller.api.control.read(|view| {
        view.roles(assignment.user, assignment.project)
            .contains(&assignment.role)
    })
}

fn no_such(assignment: Assignment) -> Failure {
    Failure::not_found("role assignment", &assignment.role.id().to_string())
}

/// `HEAD` and `GET /v3/projects/{id}/users/{user}/roles/{role}`.
pub async fn check(caller: Caller, path: Segments) -> Result<Response, Failure> {
    let assignment = assignment(&caller, &path)?;
    if has(&caller, assignment) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(no_such(assignment))
    }
}

/// `DELETE /v3/projects/{id}/users/{user}/roles/{role}`.
pub async fn unassign(caller: Caller, path: Segments) -> Result<Response, Failure> {
    let assignment = assignment(&caller, &path)?;
    if !has(&caller, assignment) {
        return Err(no_such(assignment));
    }
    caller.write(Command::Unassign(assignment)).await?;
    Ok(reply::nothing())
}

/// `GET /v3/projects/{id}/users/{user}/roles`.
pub async fn of_user_in_project(caller: Caller, headers: HeaderMap, path: Segments) -> Answer {
    let (project, user) = in_project(&caller, &path)?;
    let found = caller.api.control.read(|view| view.roles(user, project));
    roles(
        &caller,
        &headers,
        &format!("projects/{project}/users/{user}/roles"),
        found,
    )
}

#[derive(Serialize)]
struct Named<Id> {
    id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<DomainRef>,
}

#[derive(Serialize)]
struct AssignmentWire {
    role: Named<RoleId>,
    user: Named<UserId>,
    scope: Scope,
    links: Nothing,
}

#[derive(Serialize)]
struct Scope {
    project: Named<ProjectId>,
}

/// `GET /v3/role_assignments`.
pub async fn assignments(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let filters = Filters::of(&uri)?;
    let own = filters.get("user.id") == Some(caller.user.id.to_string().as_str());
    if !own {
        caller.to_administer("list who has which role")?;
    }
    let names = filters
        .get("include_names")
        .is_some_and(|text| !matches!(text, "0" | "false" | "False"));
    let items: Vec<AssignmentWire> = caller.api.control.read(|view| {
        let fits = |a: &Assignment| {
            filters.fits("user.id", &a.user.to_string())
                && filters.fits("scope.project.id", &a.project.to_string())
                && filters.fits("role.id", &a.role.id().to_string())
                && filters.get("group.id").is_none()
                && filters.get("scope.domain.id").is_none()
                && filters.get("scope.system").is_none()
        };
        let wire = |a: Assignment| {
            let user = view.user(a.user).filter(|_| names).map(|user| user.name.clone());
            let project = view
                .project(a.project)
                .filter(|_| names)
                .map(|project| project.name.clone());
            let domain = names.then_some(DOMAIN);
            AssignmentWire {
                role: Named {
                    id: a.role.id(),
                    name: names.then(|| a.role.name().to_owned()),
                    domain: None,
                },
                user: Named {
                    id: a.user,
                    name: user,
                    domain,
                },
                scope: Scope {
                    project: Named {
                        id: a.project,
                        name: project,
                        domain,
                    },
                },
                links: Nothing {},
            }
        };
        view.assignments().filter(fits).map(wire).collect()
    });
    let link = url(&caller.api, &headers, "role_assignments");
    reply::ok(&Listing {
        key: "role_assignments",
        items: &items,
        link,
    })
}
