//! Networks of the console's screens, and which addresses are used where.

use axum::extract::OriginalUri;
use portolan_shared::v1::{AddressSpace, List, NetworkRow, One};

use super::find;
use super::rows::NetworkFacts;
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::reply;

/// `GET …/networks`: all of the project's, by name, and then the provider's external ones.
pub async fn list(call: Call, _: OriginalUri) -> Answer {
    let (revision, facts) = call.control().read(|view| {
        let own = view.networks(Some(call.project.id));
        let provided = view
            .external_networks()
            .filter(|network| network.meta.project != call.project.id);
        let facts: Vec<_> = own
            .chain(provided)
            .map(|network| NetworkFacts::of(view, network, call.rights))
            .collect();
        (view.head(), facts)
    });
    let mut items: Vec<NetworkRow> = facts.iter().map(NetworkFacts::row).collect();
    items.sort_by(|a, b| (a.external, &a.name, a.id).cmp(&(b.external, &b.name, b.id)));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

/// `GET …/networks/{id}`: of the project, or an external one.
pub async fn show(call: Call, path: Segments) -> Answer {
    let (revision, facts) = call.control().read(|view| {
        let network = find::seen_network(&call, view, &path)?;
        Ok::<_, Failure>((view.head(), NetworkFacts::of(view, &network, call.rights)))
    })?;
    reply::ok(&One {
        revision,
        item: facts.row(),
    })
}

/// `GET …/address-space`.
pub async fn address_space(call: Call) -> Answer {
    let (revision, ranges) = call
        .control()
        .read(|view| (view.head(), view.used_ranges(call.project.id)));
    reply::ok(&AddressSpace { revision, ranges })
}
