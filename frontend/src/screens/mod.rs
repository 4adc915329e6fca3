//! The pages: which there are, which of them come later and in which file, which have an entry in the menu, and which
//! kinds of objects are in the audit. What an entry or a kind is, its page's own file says.
//!
//! Each page fetches its read models, turns them into rows by a pure function, and lays out. A new list is four lines
//! here: its module, the group whose file it comes in, the menu, the audit.

pub mod add_node;
pub mod add_port;
pub mod add_subnet;
pub mod address;
pub mod address_scopes;
pub mod audit;
pub mod cluster;
pub mod clusters;
pub mod create_cluster;
pub mod create_network;
pub mod creating;
pub mod delete;
pub mod home;
pub mod list;
pub mod login;
pub mod network;
pub mod networks;
pub mod nodes;
pub mod not_found;
pub mod object;
pub mod panels;
pub mod port;
pub mod ports;
pub mod shadowport;
pub mod stated;
#[cfg(test)]
mod statuses;
pub mod subnet;
pub mod support;
pub mod words;

use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use portolan_shared::v1::AuditKind;

use crate::components::lazy::{Draw, LazyPart, lazy};
use crate::components::menu::Menu;
use audit::kinds::{self, Audited};

/// A group of pages: the file it comes in, its name, and its pages, each with its component.
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
                $($group::$page => || $($component)::+().into_any(),)+
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
    support::queue::ENTRY,
    support::find::ENTRY,
    audit::EVERYWHERE,
    networks::ENTRY,
    address_scopes::ENTRY,
    clusters::ENTRY,
    shadowport::list::ENTRY,
    audit::ENTRY,
];

/// The kinds of objects in the audit, each with what it says of itself; without its line nothing compiles.
macro_rules! audited {
    ($($kind:ident => $audited:expr,)+) => {
        /// What the audit's pages must know of a kind.
        pub(crate) const fn audited(kind: AuditKind) -> Audited {
            match kind { $(AuditKind::$kind => $audited,)+ }
        }

        /// The kinds as the audit's filter and the API write them.
        pub(crate) const AUDITED_WORDS: &[&str] = &[$($audited.word),+];

        /// All kinds, in the order of their words.
        #[cfg(test)]
        const AUDITED: &[AuditKind] = &[$(AuditKind::$kind),+];
    };
}

audited! {
    Network => network::AUDITED,
    Subnet => subnet::AUDITED,
    Port => port::AUDITED,
    Cluster => cluster::AUDITED,
    Node => nodes::AUDITED,
    JoinToken => add_node::AUDITED,
    Request => shadowport::AUDITED,
    Message => shadowport::AUDITED_MESSAGE,
    Project => kinds::PROJECT,
    User => kinds::USER,
    Role => kinds::ROLE,
    AddressScope => address_scopes::AUDITED,
    Epoch => kinds::EPOCH,
    QuarantinedBlock => stated::AUDITED,
    Loss => nodes::AUDITED_LOSS,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::menu::{entry_of, in_project};
    use crate::i18n::Key;
    use crate::paths;

    fn title(path: &str) -> Option<Key> {
        entry_of(MENU, path).map(|entry| entry.title)
    }

    #[test]
    fn a_filter_writes_kinds_as_the_api_does() {
        for (kind, word) in AUDITED.iter().zip(AUDITED_WORDS) {
            assert_eq!(serde_json::to_value(kind).unwrap(), *word);
        }
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
