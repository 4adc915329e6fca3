//! `/v2.0`: OpenStack Networking. One file a resource; [`list`] has what lists share (filters, sort,
//! pages, fields).

pub mod attributes;
pub mod list;
pub mod many;
pub mod networks;
pub mod ports;
pub mod resource;
pub mod select;
pub mod subnets;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use portolan_shared::refusal::Refusal;
use serde::Serialize;

use super::Api;
use super::context::{Call, Segments};
use super::error::{Answer, Failure};
use super::reply;
use super::resources::RESOURCES;
use super::route::{Route, get};
use resource::Names;

/// The routes below `/v2.0`.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        get("/", resources),
        get("/extensions", extensions),
        get("/extensions/{alias}", extension),
    ];
    routes.extend(RESOURCES.iter().flat_map(|resource| (resource.routes)()));
    routes
}

#[derive(Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

#[derive(Serialize)]
struct Versions {
    versions: [Version; 1],
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    status: &'static str,
    links: [Link; 1],
}

/// `GET /` for a program: which versions there are.
pub fn versions(api: &Api, headers: &HeaderMap) -> Response {
    let href = format!("{}/v2.0/", api.base(headers));
    let version = Version {
        id: "v2.0",
        status: "CURRENT",
        links: [Link { rel: "self", href }],
    };
    reply::ok(&Versions { versions: [version] }).unwrap_or_else(IntoResponse::into_response)
}

#[derive(Serialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Serialize)]
struct Resource {
    name: &'static str,
    collection: &'static str,
    links: [Link; 1],
}

/// `GET /v2.0`: which resources there are.
pub async fn resources(State(api): State<Arc<Api>>, headers: HeaderMap) -> Answer {
    let base = api.base(&headers);
    let resource = |name, collection| {
        let href = format!("{base}/v2.0/{collection}");
        Resource {
            name,
            collection,
            links: [Link { rel: "self", href }],
        }
    };
    let ours = RESOURCES.iter().map(|resource| {
        let Names { one, path, .. } = resource.names;
        (one, path.trim_start_matches('/'))
    });
    let all = ours.chain([("extension", "extensions")]);
    reply::ok(&Resources {
        resources: all.map(|(name, collection)| resource(name, collection)).collect(),
    })
}

/// Alias, name and description of an extension.
pub type Described = (&'static str, &'static str, &'static str);

/// What we have beyond the core, but for resources of their own: only what is true.
const EXTENSIONS: &[Described] = &[
    ("binding", "Port Binding", "Shows the host that a port is bound to"),
    (
        "empty-string-filtering",
        "Empty String Filtering Extension",
        "Filters by attributes with an empty value",
    ),
    (
        "enable-shadow-port",
        "Access to the provider's services",
        "enable_shadow_port of networks: their machines reach the provider's services and nothing else",
    ),
    (
        "external-net",
        "Neutron external network",
        "router:external of networks: the provider's way to the outside",
    ),
    (
        "filter-validation",
        "Filter parameters validation",
        "Refuses unknown filters",
    ),
    (
        "internet-access",
        "Internet access of networks",
        "internet_access of networks: whether their machines are to reach the internet",
    ),
    (
        "ip-substring-filtering",
        "IP address substring filtering",
        "Filters ports by a part of an address",
    ),
    ("net-mtu", "Network MTU", "Shows the MTU of a network"),
    (
        "net-mtu-writable",
        "Network MTU (writable)",
        "Lets the MTU of a network be set",
    ),
    ("pagination", "Pagination support", "Lists in pages"),
    ("project-id", "project_id field enabled", "project_id beside tenant_id"),
    (
        "revision-if-match",
        "If-Match constraints based on revision_number",
        "Refuses changes of what changed meanwhile",
    ),
    ("sorting", "Sorting support", "Lists in an order asked for"),
    (
        "standard-attr-description",
        "standard-attr-description",
        "A description of every resource",
    ),
    (
        "standard-attr-revisions",
        "Resource revision numbers",
        "A revision number of every resource",
    ),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "When a resource was made and last changed",
    ),
];

/// When the list of extensions last changed.
const EXTENSIONS_UPDATED: &str = "2026-08-01T00:00:00-00:00";

#[derive(Serialize)]
struct Extension {
    alias: &'static str,
    name: &'static str,
    description: &'static str,
    updated: &'static str,
    links: [(); 0],
}

/// All extensions, by alias.
fn all() -> Vec<Described> {
    let mut all = EXTENSIONS.to_vec();
    all.extend(RESOURCES.iter().filter_map(|resource| resource.extension));
    all.sort_unstable();
    all
}

fn extension_of((alias, name, description): Described) -> Extension {
    Extension {
        alias,
        name,
        description,
        updated: EXTENSIONS_UPDATED,
        links: [],
    }
}

/// `GET /v2.0/extensions`.
async fn extensions(_: Call) -> Answer {
    #[derive(Serialize)]
    struct Many {
        extensions: Vec<Extension>,
    }
    reply::ok(&Many {
        extensions: all().into_iter().map(extension_of).collect(),
    })
}

/// `GET /v2.0/extensions/{alias}`.
async fn extension(_: Call, path: Segments) -> Answer {
    #[derive(Serialize)]
    struct One {
        extension: Extension,
    }
    let found = all().into_iter().find(|(known, ..)| *known == path.text("alias"));
    let found = found.ok_or_else(|| Failure::not_found("Extension", path.text("alias")))?;
    reply::ok(&One {
        extension: extension_of(found),
    })
}

/// The project a new object will be in: the call's, or the one an administrator names.
pub(crate) fn owner(
    call: &Call,
    fields: &mut super::fields::Fields,
    thing: &str,
) -> Result<portolan_shared::ids::ProjectId, Refusal> {
    let tenant = fields.id("tenant_id")?;
    let project = fields.id("project_id")?.or(tenant);
    match project {
        Some(project) if project != call.project.id => {
            call.rights
                .to_administer(&format!("make a {thing} in another project"))?;
            call.control()
                .read(|view| view.project(project).is_some())
                .then_some(project)
                .ok_or_else(|| Refusal::NotFound {
                    kind: "project".to_owned(),
                    id: project.to_string(),
                })
        }
        _ => Ok(call.project.id),
    }
}
