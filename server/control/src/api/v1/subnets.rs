//! Subnets of the console's screens.

use portolan_shared::v1::{List, One, SubnetRow};

use super::find;
use super::rows::SubnetFacts;
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::reply;

/// `GET …/networks/{id}/subnets`: by address.
pub async fn of_network(call: Call, path: Segments) -> Answer {
    let (revision, facts) = call.control().read(|view| {
        let network = find::network(&call, view, &path)?;
        let facts: Vec<_> = view
            .subnets_of(network.id)
            .map(|subnet| SubnetFacts::of(view, subnet, call.rights))
            .collect();
        Ok::<_, Failure>((view.head(), facts))
    })?;
    let mut items: Vec<SubnetRow> = facts.iter().map(SubnetFacts::row).collect();
    items.sort_by_key(|row| (row.cidr.family(), row.cidr));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

/// `GET …/subnets/{id}`.
pub async fn show(call: Call, path: Segments) -> Answer {
    let (revision, facts) = call.control().read(|view| {
        let subnet = find::subnet(&call, view, &path)?;
        Ok::<_, Failure>((view.head(), SubnetFacts::of(view, &subnet, call.rights)))
    })?;
    reply::ok(&One {
        revision,
        item: facts.row(),
    })
}
