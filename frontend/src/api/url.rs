//! The addresses of the server's calls.

/// Log-in, log-out, who am I.
pub const SESSION: &str = "/portolan/v1/session";

/// Ports asked for at once; the server's default and, for now, what a table shows.
pub const PAGE: usize = 1_000;

/// A read model of a project: `tail` begins without a slash.
pub fn of_project(project: &str, tail: &str) -> String {
    format!("/portolan/v1/projects/{project}/{tail}")
}

/// The event stream of a project, going on after `revision`.
pub fn events(project: &str, revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("/portolan/v1/events?project={project}&after={revision}"),
        None => format!("/portolan/v1/events?project={project}"),
    }
}

/// A collection of the Networking API.
pub fn networking(collection: &str) -> String {
    format!("/v2.0/{collection}")
}

/// An object of the Networking API.
pub fn networking_one(collection: &str, id: &str) -> String {
    format!("/v2.0/{collection}/{id}")
}
