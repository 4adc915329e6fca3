//! `/v3`: as much of the Identity API as clients need to log in and find the Networking API, and to
//! manage projects, users and roles.
//!
//! There is one domain, `Default`, and one region. Roles are a closed list; see
//! [`crate::identity::rights`] for what they allow.

pub mod projects;
pub mod roles;
pub mod tokens;
pub mod users;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, Uri};
use portolan_shared::refusal::Refusal;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Api;
use super::context::Caller;
use super::error::{Answer, Failure};
use super::fields::Fields;
use super::reply;
use super::route::{Route, delete, get, patch, post, put};

/// Id of the one domain.
pub const DOMAIN_ID: &str = "default";
/// Name of the one domain.
pub const DOMAIN_NAME: &str = "Default";
/// The one region.
pub const REGION: &str = "RegionOne";

/// The routes below `/v3`.
pub fn routes() -> Vec<Route> {
    vec![
        get("/", version),
        get("/auth/tokens", tokens::show),
        post("/auth/tokens", tokens::create),
        delete("/auth/tokens", tokens::delete),
        get("/auth/catalog", catalog),
        get("/auth/projects", projects::mine),
        get("/auth/domains", roles::domains),
        get("/projects", projects::list),
        post("/projects", projects::create),
        get("/projects/{id}", projects::show),
        delete("/projects/{id}", projects::delete),
        get("/users", users::list),
        post("/users", users::create),
        get("/users/{id}", users::show),
        patch("/users/{id}", users::update),
        delete("/users/{id}", users::delete),
        post("/users/{id}/password", users::change_password),
        get("/users/{id}/projects", projects::of_user),
        get("/roles", roles::list),
        get("/roles/{id}", roles::show),
        get("/domains", roles::domains),
        get("/domains/{id}", roles::domain),
        get("/projects/{id}/users/{user}/roles", roles::of_user_in_project),
        put("/projects/{id}/users/{user}/roles/{role}", roles::assign),
        get("/projects/{id}/users/{user}/roles/{role}", roles::check),
        delete("/projects/{id}/users/{user}/roles/{role}", roles::unassign),
        get("/role_assignments", roles::assignments),
    ]
}

#[derive(Serialize)]
struct VersionBody {
    version: Version,
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: [Link; 1],
    #[serde(rename = "media-types")]
    media_types: [MediaType; 1],
}

#[derive(Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

#[derive(Serialize)]
struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// `GET /v3`.
pub async fn version(State(api): State<Arc<Api>>, headers: HeaderMap) -> Answer {
    let href = format!("{}/v3/", api.base(&headers));
    reply::ok(&VersionBody {
        version: Version {
            id: "v3.14",
            status: "stable",
            updated: "2020-04-07T00:00:00Z",
            links: [Link { rel: "self", href }],
            media_types: [MediaType {
                base: "application/json",
                kind: "application/vnd.openstack.identity-v3+json",
            }],
        },
    })
}

/// A service of the catalog.
#[derive(Serialize)]
pub struct Service {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    id: String,
    interface: &'static str,
    region: &'static str,
    region_id: &'static str,
    url: String,
}

/// Identity, networking, and what OpenStack has no word for (`/docs` below it is its description).
pub fn services(base: &str) -> [Service; 3] {
    let service = |id: &'static str, kind, name, url: String| {
        let endpoint = |interface| Endpoint {
            id: format!("{id}-{interface}"),
            interface,
            region: REGION,
            region_id: REGION,
            url: url.clone(),
        };
        Service {
            id,
            kind,
            name,
            endpoints: ["public", "internal", "admin"].map(endpoint).into(),
        }
    };
    [
        service("identity", "identity", "portolan-identity", format!("{base}/v3")),
        service("network", "network", "portolan", base.to_owned()),
        service("portolan", "portolan", "portolan", format!("{base}/portolan/v1")),
    ]
}

/// `GET /v3/auth/catalog`.
async fn catalog(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let base = caller.api.base(&headers);
    reply::ok(&Listing {
        key: "catalog",
        items: &services(&base),
        link: format!("{base}{}", uri.path()),
    })
}

/// `{"things": […], "links": {…}}`.
pub struct Listing<'a, T> {
    /// Such as `projects`.
    pub key: &'static str,
    /// All objects, in order.
    pub items: &'a [T],
    /// The URL of the list.
    pub link: String,
}

#[derive(Serialize)]
struct Links<'a> {
    next: Option<&'a str>,
    #[serde(rename = "self")]
    this: &'a str,
    previous: Option<&'a str>,
}

impl<T: Serialize> Serialize for Listing<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.key, self.items)?;
        map.serialize_entry(
            "links",
            &Links {
                next: None,
                this: &self.link,
                previous: None,
            },
        )?;
        map.end()
    }
}

/// A link to itself, as every object has it.
#[derive(Serialize)]
pub struct SelfLink {
    /// The URL.
    #[serde(rename = "self")]
    pub this: String,
}

/// `{"id": "default", "name": "Default"}`.
#[derive(Serialize, Clone, Copy)]
pub struct DomainRef {
    id: &'static str,
    name: &'static str,
}

/// The one domain.
pub const DOMAIN: DomainRef = DomainRef {
    id: DOMAIN_ID,
    name: DOMAIN_NAME,
};

/// An object that is always `{}`.
#[derive(Serialize, Clone, Copy)]
pub struct Nothing {}

/// Filters of a list by exact text.
pub struct Filters(HashMap<String, String>);

impl Filters {
    /// From a URL. Filters that nobody knows are ignored, as Keystone does.
    ///
    /// # Errors
    /// If the query cannot be read.
    pub fn of(uri: &Uri) -> Result<Self, Failure> {
        let query = Query::<HashMap<String, String>>::try_from_uri(uri);
        let Query(map) = query.map_err(|_| Refusal::Malformed {
            detail: "its query is no query".to_owned(),
        })?;
        Ok(Self(map))
    }

    /// The value asked for, if one is.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a value is asked for, or nothing is.
    pub fn fits(&self, name: &str, value: &str) -> bool {
        self.get(name).is_none_or(|wanted| wanted == value)
    }

    /// Whether a flag is asked for, or nothing is.
    pub fn fits_flag(&self, name: &str, value: bool) -> bool {
        let wanted = self
            .get(name)
            .map(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0"));
        wanted.is_none_or(|wanted| wanted == value)
    }
}

/// An object may say that it is in the one domain.
///
/// # Errors
/// If it says another.
pub fn in_domain(fields: &mut Fields) -> Result<(), Refusal> {
    match fields.string("domain_id")?.value() {
        Some(id) if id != DOMAIN_ID => Err(Refusal::NotFound {
            kind: "domain".to_owned(),
            id: portolan_shared::check::shortened(&id),
        }),
        _ => Ok(()),
    }
}

/// The URL of something below `/v3`.
pub fn url(api: &Api, headers: &HeaderMap, path: &str) -> String {
    format!("{}/v3/{path}", api.base(headers))
}
