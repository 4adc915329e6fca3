//! The addresses of the server's calls.

/// Log-in, log-out, who am I.
pub const SESSION: &str = "/portolan/v1/session";

/// The Identity API, where other clients log in.
pub const IDENTITY: &str = "/v3";

/// When the database was put back.
pub const EPOCHS: &str = "/portolan/v1/epochs";

/// Ports asked for at once; the server's default and, for now, what a table shows.
pub const PAGE: usize = 1_000;

/// A read model of a project: `tail` begins without a slash.
pub fn of_project(project: &str, tail: &str) -> String {
    format!("/portolan/v1/projects/{project}/{tail}")
}

/// A call of support's: `tail` begins without a slash.
pub fn of_support(tail: &str) -> String {
    format!("/portolan/v1/support/{tail}")
}

/// The event stream of a project, or of all if there is none, going on after `revision`.
pub fn events(project: Option<&str>, revision: Option<u64>) -> String {
    let project = project.map(|project| format!("project={project}"));
    let after = revision.map(|revision| format!("after={revision}"));
    let query: Vec<String> = project.into_iter().chain(after).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/portolan/v1/events{mark}{}", query.join("&"))
}

/// What a delete of the thing at `tail` in a project would do.
pub fn delete_plan(project: &str, tail: &str) -> String {
    of_project(project, &format!("{tail}/delete-plan"))
}

/// A collection of the Networking API.
pub fn networking(collection: &str) -> String {
    format!("/v2.0/{collection}")
}

/// An object of the Networking API.
pub fn networking_one(collection: &str, id: &str) -> String {
    format!("/v2.0/{collection}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_of_one_project_or_of_all() {
        let url = |project, revision| events(project, revision).split_off("/portolan/v1/events".len());
        assert_eq!(url(Some("p"), Some(7)), "?project=p&after=7");
        assert_eq!(url(Some("p"), None), "?project=p");
        assert_eq!(url(None, Some(7)), "?after=7");
        assert_eq!(url(None, None), "");
    }
}
