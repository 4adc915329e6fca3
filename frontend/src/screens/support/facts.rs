//! What support sees of a request's project, beside the request: read-only, with links.

use leptos::prelude::*;
use portolan_shared::v1::{ClusterRow, NetworkRow, Quota, ShadowRequest, SupportRequest};

use crate::components::bar::bar;
use crate::components::copy::copyable;
use crate::components::facts::{card, fact, facts, link, named_fact, words};
use crate::components::status::status;
use crate::components::time::time;
use crate::i18n::{Key, format, t, tn, tp};
use crate::paths;
use crate::screens::shadowport::status;
use crate::screens::words::{cluster_state, name_or_id};

/// Everything, a card a subject.
pub fn project_facts(page: &SupportRequest) -> Vec<AnyView> {
    let project = page.request.project.id.to_string();
    let about = facts(vec![
        fact(
            Key::ProjectName,
            link(page.request.project.name.clone(), paths::networks(&project)),
        ),
        fact(Key::FieldProjectId, copyable(project.clone())),
        fact(
            Key::Requests,
            link(t(Key::ProjectRequests).to_owned(), paths::support_queue_of(&project)),
        ),
        fact(
            Key::Audit,
            link(t(Key::ProjectAudit).to_owned(), paths::audit(&project)),
        ),
    ]);
    let networks = page
        .networks
        .iter()
        .map(|network| network_line(network, &project))
        .collect();
    let clusters = page
        .clusters
        .iter()
        .map(|cluster| cluster_line(cluster, &project))
        .collect();
    let earlier = page.earlier.iter().map(earlier_line).collect();
    vec![
        card(Key::ProjectFacts, about),
        card(Key::ProjectNetworks, lines(networks, Key::ProjectNoNetworks)),
        card(Key::ProjectClusters, lines(clusters, Key::ProjectNoClusters)),
        card(Key::Quota, facts(page.quotas.iter().map(quota_line).collect())),
        card(Key::EarlierRequests, lines(earlier, Key::NoEarlierRequests)),
    ]
}

/// Things one under the other, or that there are none.
fn lines(items: Vec<AnyView>, none: Key) -> AnyView {
    if items.is_empty() {
        return view! { <p class="muted">{t(none)}</p> }.into_any();
    }
    view! { <ul class="lines">{items}</ul> }.into_any()
}

/// How a network reaches out.
pub fn reach(network: &NetworkRow) -> Key {
    match (network.internet, network.shadow_port) {
        (true, _) => Key::Yes,
        (false, true) => Key::ServicesOnly,
        (false, false) => Key::No,
    }
}

fn network_line(network: &NetworkRow, project: &str) -> AnyView {
    let id = network.id.to_string();
    let name = link(name_or_id(&network.name, &id), paths::network(project, &id));
    let subnets: Vec<String> = network.subnets.iter().map(|subnet| subnet.cidr.to_string()).collect();
    let internet = tp(Key::InternetIs, &[("word", t(reach(network)))]);
    let notes = [subnets.join(", "), tn(Key::CountPorts, network.ports), internet];
    let notes: Vec<AnyView> = notes
        .into_iter()
        .filter(|note| !note.is_empty())
        .map(|note| view! { <span class="lines__note">{note}</span> }.into_any())
        .collect();
    view! {
        <li>
            {name} {notes}
        </li>
    }
    .into_any()
}

fn cluster_line(cluster: &ClusterRow, project: &str) -> AnyView {
    let (tone, word) = cluster_state(cluster.state);
    let name = link(cluster.name.clone(), paths::cluster(project, &cluster.id.to_string()));
    view! {
        <li>
            {name} {status(tone, word, None)}
            <span class="lines__note">{tn(Key::CountNodes, cluster.nodes)}</span>
        </li>
    }
    .into_any()
}

fn earlier_line(request: &ShadowRequest) -> AnyView {
    let (tone, word) = status::state(request);
    let href = paths::support_request(&request.id.to_string());
    view! {
        <li>
            <a href=href>{status(tone, word, None)}</a>
            <span class="lines__note">{time(request.created_at.clone())}</span>
            <span class="lines__note">{request.asked_by.clone()}</span>
        </li>
    }
    .into_any()
}

fn quota_line(quota: &Quota) -> AnyView {
    let value = match quota.limit {
        Some(limit) => bar(quota.used, limit, false),
        None => words(tp(Key::QuotaUnlimited, &[("used", &format::number(quota.used))])),
    };
    named_fact(resource(&quota.resource), value)
}

/// What a quota counts, in words; a resource this console does not know, as the API names it.
fn resource(name: &str) -> String {
    let key = match name {
        "network" => Key::Networks,
        "subnet" => Key::Subnets,
        "port" => Key::Ports,
        "pod" => Key::Pods,
        "cluster" => Key::Clusters,
        other => return other.to_owned(),
    };
    t(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_has_a_name() {
        assert_eq!(resource("port"), "Ports");
        assert_eq!(resource("router"), "router");
    }
}
