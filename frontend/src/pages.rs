//! The pages: which there are, which of them come later and in which file, and which have an entry in the menu.
//!
//! A new list is one entry of [`MENU`], and one line in the group whose file it comes in.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use crate::components::icon::Icon;
use crate::components::lazy::{Draw, LazyPart, lazy};
use crate::components::menu::{Area, Menu, MenuEntry};
use crate::i18n::Key;
use crate::screens;
use crate::screens::networks::Networks;

/// A group of pages: the file it comes in, its name, and its pages, each with its component in `screens`.
///
/// Makes an enum of the pages with `view`, which draws one, and the function that is in the file.
macro_rules! lazy_pages {
    ($(#[$doc:meta])* $file:ident: $group:ident { $($page:ident: $($component:ident)::+,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) enum $group { $($page,)+ }

        impl $group {
            /// The page, as soon as its file is there.
            pub(crate) fn view(self) -> AnyView {
                lazy(LazyPart {
                    load: Box::new(move || Box::pin(async move {
                        let draw: Draw = Arc::new($file(self).await?);
                        Ok(draw)
                    })),
                    panel: None,
                })
            }
        }

        #[wasm_split($file, wasm_split_path = ::leptos::wasm_split, fallible)]
        fn $file(page: $group) -> Result<fn() -> AnyView, SplitLoaderError> {
            Ok(match page {
                $($group::$page => || screens::$($component)::+().into_any(),)+
            })
        }
    };
}

lazy_pages! {
    /// Pages of one network, subnet or port: what one opens from a list.
    details: Detail {
        Network: network::Network,
        Subnets: network::Subnets,
        Settings: network::Settings,
        Subnet: subnet::Subnet,
        Information: subnet::Information,
        Ports: ports::Ports,
        Port: port::Port,
        PortAbout: port::PortAbout,
    }
}

lazy_pages! {
    /// Pages that make something, and those of clusters.
    editing: Editing {
        CreateNetwork: create_network::CreateNetwork,
        CreateCluster: create_cluster::CreateCluster,
        AddressScopes: address_scopes::AddressScopes,
        Clusters: clusters::Clusters,
        Cluster: cluster::Cluster,
        Overview: cluster::Overview,
        Nodes: nodes::Nodes,
    }
}

lazy_pages! {
    /// Requests, who answers them, and who did what.
    requests: Requests {
        Shadowport: shadowport::list::Shadowport,
        NewRequest: shadowport::new::NewRequest,
        ProjectRequest: shadowport::one::Request,
        Queue: support::queue::Queue,
        SupportRequest: support::request::Request,
        Find: support::find::Find,
        SupportAudit: audit::SupportAudit,
        Audit: audit::Audit,
        History: audit::History,
    }
}

/// The pages with an entry in the menu, in its order. Frame, keyboard and router read it.
pub(crate) const MENU: Menu = &[
    MenuEntry {
        area: Area::Support,
        path: "queue",
        others: &[],
        title: Key::Queue,
        icon: Icon::Inbox,
        key: Some("q"),
        view: || Requests::Queue.view(),
    },
    MenuEntry {
        area: Area::Support,
        path: "find",
        others: &[],
        title: Key::Find,
        icon: Icon::Search,
        key: Some("f"),
        view: || Requests::Find.view(),
    },
    MenuEntry {
        area: Area::Support,
        path: "audit",
        others: &[],
        title: Key::AuditAll,
        icon: Icon::List,
        key: None,
        view: || Requests::SupportAudit.view(),
    },
    MenuEntry {
        area: Area::Project,
        path: "networks",
        others: &["subnets", "ports"],
        title: Key::Networks,
        icon: Icon::Network,
        key: Some("n"),
        view: || Networks().into_any(),
    },
    MenuEntry {
        area: Area::Project,
        path: "address-scopes",
        others: &[],
        title: Key::AddressScopes,
        icon: Icon::Copy,
        key: Some("d"),
        view: || Editing::AddressScopes.view(),
    },
    MenuEntry {
        area: Area::Project,
        path: "clusters",
        others: &[],
        title: Key::Clusters,
        icon: Icon::Cluster,
        key: Some("c"),
        view: || Editing::Clusters.view(),
    },
    MenuEntry {
        area: Area::Project,
        path: "shadowport",
        others: &[],
        title: Key::Shadowport,
        icon: Icon::Anchor,
        key: Some("s"),
        view: || Requests::Shadowport.view(),
    },
    MenuEntry {
        area: Area::Project,
        path: "audit",
        others: &[],
        title: Key::Audit,
        icon: Icon::List,
        key: Some("a"),
        view: || Requests::Audit.view(),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::menu::{entry_of, in_project};
    use crate::paths;

    fn title(path: &str) -> Option<Key> {
        entry_of(MENU, path).map(|entry| entry.title)
    }

    #[test]
    fn every_entry_is_where_it_says() {
        for entry in MENU {
            assert_eq!(title(&entry.href("p")), Some(entry.title));
        }
        assert_eq!(title("/p/p/networks/7/audit"), Some(Key::Networks));
        assert_eq!(title("/support/queue/7"), Some(Key::Queue));
        assert_eq!(title("/p/p"), None);
    }

    #[test]
    fn links_lead_to_entries() {
        for (path, key) in [
            (paths::networks("p"), Key::Networks),
            (paths::subnet("p", "7"), Key::Networks),
            (paths::port("p", "7"), Key::Networks),
            (paths::clusters("p"), Key::Clusters),
            (paths::shadowport("p"), Key::Shadowport),
            (paths::audit("p"), Key::Audit),
            (paths::support_queue(), Key::Queue),
            (paths::support_find(), Key::Find),
            (paths::support_audit(), Key::AuditAll),
        ] {
            assert_eq!(title(&path), Some(key), "{path}");
        }
    }

    #[test]
    fn a_key_opens_one_entry() {
        for (index, entry) in MENU.iter().enumerate() {
            let earlier = &MENU[..index];
            assert!(
                entry.key.is_none() || earlier.iter().all(|other| other.key != entry.key),
                "{:?}",
                entry.title
            );
        }
    }

    #[test]
    fn another_project_opens_on_the_same_list() {
        let there = |path| in_project(MENU, path, "b");
        assert_eq!(there("/p/a/clusters/7"), "/p/b/clusters");
        assert_eq!(there("/p/a/ports/7"), "/p/b/networks");
        assert_eq!(there("/p/a/shadowport/new"), "/p/b/shadowport");
        assert_eq!(there("/support/audit"), "/p/b/networks");
    }
}
