//! Where every page is. Nothing else writes a page's address.

/// All networks of a project.
pub fn networks(project: &str) -> String {
    format!("/p/{project}/networks")
}

/// *Create network*.
pub fn network_new(project: &str) -> String {
    format!("/p/{project}/networks/new")
}

/// A network: its subnets.
pub fn network(project: &str, network: &str) -> String {
    format!("/p/{project}/networks/{network}")
}

/// A network: what is to be known of it.
pub fn network_settings(project: &str, network: &str) -> String {
    format!("/p/{project}/networks/{network}/settings")
}

/// A subnet's card, *Information*.
pub fn subnet(project: &str, subnet: &str) -> String {
    format!("/p/{project}/subnets/{subnet}")
}

/// A subnet's card, *Ports*.
pub fn subnet_ports(project: &str, subnet: &str) -> String {
    format!("/p/{project}/subnets/{subnet}/ports")
}

/// Where something is below its project, such as `ports/ID`.
pub fn below(project: &str, tail: &str) -> String {
    format!("/p/{project}/{tail}")
}

/// A port.
pub fn port(project: &str, port: &str) -> String {
    format!("/p/{project}/ports/{port}")
}

/// All clusters of a project.
pub fn clusters(project: &str) -> String {
    format!("/p/{project}/clusters")
}

/// *Create cluster*.
pub fn cluster_new(project: &str) -> String {
    format!("/p/{project}/clusters/new")
}

/// A cluster: overview.
pub fn cluster(project: &str, cluster: &str) -> String {
    format!("/p/{project}/clusters/{cluster}")
}

/// A cluster's nodes.
pub fn cluster_nodes(project: &str, cluster: &str) -> String {
    format!("/p/{project}/clusters/{cluster}/nodes")
}

/// The project's shadowport requests.
pub fn shadowport(project: &str) -> String {
    format!("/p/{project}/shadowport")
}

/// A new shadowport request; `quotes` is the declined one that it answers, or empty.
pub fn shadowport_new(project: &str, quotes: &str) -> String {
    match quotes {
        "" => format!("/p/{project}/shadowport/new"),
        quotes => format!("/p/{project}/shadowport/new?quotes={quotes}"),
    }
}

/// A shadowport request, as the project sees it.
pub fn shadowport_request(project: &str, request: &str) -> String {
    format!("/p/{project}/shadowport/{request}")
}

/// The project's audit.
pub fn audit(project: &str) -> String {
    format!("/p/{project}/audit")
}

/// Everything that happened to one object; in the audit of all projects when `project` is empty.
pub fn audit_of(project: &str, object: &str) -> String {
    let audit = match project {
        "" => support_audit(),
        project => audit(project),
    };
    format!("{audit}?q=object:{object}")
}

/// The *History* tab of a page.
pub fn history(page: &str) -> String {
    format!("{page}/audit")
}

/// Where a page of support's is below `/support`.
pub fn below_support(tail: &str) -> String {
    format!("/support/{tail}")
}

/// Support's queue of shadowport requests.
pub fn support_queue() -> String {
    below_support("queue")
}

/// The requests of one project in support's queue, decided ones too.
pub fn support_queue_of(project: &str) -> String {
    format!("/support/queue?state=all&project={project}")
}

/// A shadowport request, as support sees it.
pub fn support_request(request: &str) -> String {
    format!("/support/queue/{request}")
}

/// Support's search.
pub fn support_find() -> String {
    below_support("find")
}

/// The audit of all projects.
pub fn support_audit() -> String {
    below_support("audit")
}

/// Log-in, going on to `next` (escaped already).
pub fn login(next: &str) -> String {
    if next.is_empty() {
        "/login".to_owned()
    } else {
        format!("/login?next={next}")
    }
}

/// Whether a page is of no project: support's own.
pub fn of_support(path: &str) -> bool {
    path.split('/').nth(1) == Some("support")
}

/// Where to go on after log-in: only pages of this console, never another site.
pub fn safe_next(next: Option<&str>) -> String {
    match next {
        Some(next) if next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') => next.to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_in_goes_on_within_the_console_only() {
        assert_eq!(safe_next(Some("/p/1/networks?q=web")), "/p/1/networks?q=web");
        for bad in [
            None,
            Some(""),
            Some("https://elsewhere"),
            Some("//elsewhere"),
            Some("/\\elsewhere"),
        ] {
            assert_eq!(safe_next(bad), "/");
        }
    }
}
