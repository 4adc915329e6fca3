//! The kinds of objects that are in the audit: all that its pages must know of one, in one line each.

use portolan_shared::v1::AuditKind;

use crate::i18n::Key;
use crate::paths;

/// Where an object's own page is, if it has one: in a project, by its id; the last says whether the audit is of all
/// projects.
type PageOf = fn(&str, &str, bool) -> Option<String>;

/// What has no page of its own.
const NO_PAGE: PageOf = |_, _, _| None;

/// A line: the kind, as filter and API write it, what it is called, where its page is.
macro_rules! kinds {
    ($($kind:ident, $word:literal, $title:ident, $page:expr;)+) => {
        /// What a filter may ask for.
        pub const WORDS: &[&str] = &[$($word),+];

        /// What a kind is called.
        pub fn title(kind: AuditKind) -> Key {
            match kind { $(AuditKind::$kind => Key::$title),+ }
        }

        /// Where the pages of a kind are.
        pub(super) fn page(kind: AuditKind) -> PageOf {
            match kind { $(AuditKind::$kind => $page),+ }
        }

        /// All of them, in the order of their words.
        #[cfg(test)]
        const ALL: &[AuditKind] = &[$(AuditKind::$kind),+];
    };
}

kinds! {
    Network, "network", ObjectNetwork, |project, id, _| Some(paths::network(project, id));
    Subnet, "subnet", ObjectSubnet, |project, id, _| Some(paths::subnet(project, id));
    Port, "port", ObjectPort, |project, id, _| Some(paths::port(project, id));
    Cluster, "cluster", ObjectCluster, |project, id, _| Some(paths::cluster(project, id));
    Node, "node", ObjectNode, NO_PAGE;
    JoinToken, "join_token", ObjectJoinToken, NO_PAGE;
    Request, "request", ObjectRequest, request;
    Message, "message", ObjectMessage, NO_PAGE;
    Project, "project", ObjectProject, |_, id, _| Some(paths::networks(id));
    User, "user", ObjectUser, NO_PAGE;
    Role, "role", ObjectRole, NO_PAGE;
    AddressScope, "address_scope", ObjectAddressScope, NO_PAGE;
}

/// A shadowport request has a page for its project and one for support.
fn request(project: &str, id: &str, everywhere: bool) -> Option<String> {
    Some(match everywhere {
        true => paths::support_request(id),
        false => paths::shadowport_request(project, id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_writes_kinds_as_the_api_does() {
        for (kind, word) in ALL.iter().zip(WORDS) {
            assert_eq!(serde_json::to_value(kind).unwrap(), *word);
        }
    }
}
