//! Where every page is. Nothing else writes a page's address.

/// All networks of a project.
pub fn networks(project: &str) -> String {
    format!("/p/{project}/networks")
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

/// A port.
pub fn port(project: &str, port: &str) -> String {
    format!("/p/{project}/ports/{port}")
}

/// All clusters of a project.
pub fn clusters(project: &str) -> String {
    format!("/p/{project}/clusters")
}

/// A cluster: overview.
pub fn cluster(project: &str, cluster: &str) -> String {
    format!("/p/{project}/clusters/{cluster}")
}

/// A cluster's nodes.
pub fn cluster_nodes(project: &str, cluster: &str) -> String {
    format!("/p/{project}/clusters/{cluster}/nodes")
}

/// Log-in, going on to `next` (escaped already).
pub fn login(next: &str) -> String {
    if next.is_empty() {
        "/login".to_owned()
    } else {
        format!("/login?next={next}")
    }
}

/// A section of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Networks, with their subnets and ports.
    Networks,
    /// Clusters.
    Clusters,
}

/// Which section a page belongs to.
pub fn section(path: &str) -> Option<Section> {
    match path.split('/').nth(3)? {
        "networks" | "subnets" | "ports" => Some(Section::Networks),
        "clusters" => Some(Section::Clusters),
        _ => None,
    }
}

/// The same section in another project: ids do not carry over.
pub fn in_project(path: &str, project: &str) -> String {
    if section(path) == Some(Section::Clusters) {
        clusters(project)
    } else {
        networks(project)
    }
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

    #[test]
    fn another_project_opens_on_the_same_list() {
        assert_eq!(in_project("/p/a/clusters/7", "b"), "/p/b/clusters");
        assert_eq!(in_project("/p/a/ports/7", "b"), "/p/b/networks");
    }
}
