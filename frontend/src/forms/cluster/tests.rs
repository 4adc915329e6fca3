//! Tests of the form as a whole, and what those of its parts share.

use portolan_shared::status::PortStatus;
use portolan_shared::v1::{Quota, Ref};

use super::*;
use crate::forms::quota;
use crate::forms::range::tests::{NETWORK, used};

/// A network of the project's.
pub(super) fn network(internet: bool, services: bool) -> NetworkRow {
    NetworkRow {
        id: NETWORK.parse().unwrap(),
        name: "shop".into(),
        description: String::new(),
        status: PortStatus::Active,
        reason: None,
        subnets: vec![],
        used: 0,
        capacity: 0,
        ports: 0,
        ports_not_active: 0,
        cluster: None,
        cluster_owned: false,
        internet,
        shadow_port: services,
        external: false,
        mtu: 1450,
        created_at: "2026-11-21T12:04:31Z".into(),
        revision_number: 1,
    }
}

const SUBNET: &str = "01930000-0000-7000-8000-000000000003";

fn subnet(used: u64) -> SubnetRow {
    SubnetRow {
        id: SUBNET.parse().unwrap(),
        name: "web".into(),
        description: String::new(),
        network: Ref {
            id: NETWORK.parse().unwrap(),
            name: "shop".into(),
        },
        cidr: "10.0.1.0/24".parse().unwrap(),
        gateway: None,
        dhcp: false,
        dns: vec![],
        pools: vec![],
        routes: vec![],
        used,
        provider: 0,
        capacity: 253,
        ports: used,
        used_by: vec![],
        purpose: SubnetPurpose::General,
        reason: None,
        cluster: None,
        created_at: "2026-11-21T12:04:31Z".into(),
        revision_number: 1,
    }
}

fn context(network: NetworkRow, subnets: Vec<SubnetRow>) -> Context {
    Context {
        space: vec![used("10.0.1.0/24", "web", NETWORK)],
        networks: vec![network],
        subnets,
        clusters: vec!["shop".into()],
        grant: GrantState::NotAsked,
    }
}

fn typed() -> Typed {
    Typed {
        name: "stage".into(),
        nodes: "10.0.2.0/24".into(),
        pods: "10.1.0.0/16".into(),
        services: "10.0.16.0/20".into(),
        ..Typed::default()
    }
}

fn placed() -> Typed {
    Typed {
        network: NETWORK.into(),
        node_subnet: SUBNET.into(),
        ..typed()
    }
}

#[test]
fn a_private_network_is_sent_with_its_three_ranges() {
    let body = check(&typed(), &context(network(true, false), vec![])).body.unwrap();
    assert_eq!((body.network, body.node_subnet), (None, None));
    assert_eq!(body.node_range.as_deref(), Some("10.0.2.0/24"));
    assert_eq!(body.external_ip, Some(true));
    assert_eq!(body.nodes, Some(0), "nobody said");
}

#[test]
fn a_network_of_the_projects_is_sent_with_its_node_subnet() {
    let body = check(&placed(), &context(network(true, false), vec![subnet(3)]))
        .body
        .unwrap();
    assert_eq!(body.network.map(|id| id.to_string()).as_deref(), Some(NETWORK));
    assert_eq!(body.node_subnet.map(|id| id.to_string()).as_deref(), Some(SUBNET));
    assert_eq!(body.node_range, None);
}

#[test]
fn names_are_labels_and_free() {
    let said = |name: &str| {
        let form = Typed {
            name: name.into(),
            ..typed()
        };
        let checked = check(&form, &context(network(true, false), vec![]));
        assert_eq!(checked.name.is_some(), checked.body.is_none());
        checked.name.map(|message| message.text)
    };
    assert_eq!(said("stage-2"), None);
    assert!(said("shop").unwrap().contains("already"), "taken");
    for bad in ["", "2nd", "Stage", "stage-", "st age"] {
        assert!(said(bad).is_some(), "{bad}");
    }
}

#[test]
fn a_network_that_leads_nowhere_is_said_before_it_is_sent() {
    let checked = check(&placed(), &context(network(false, false), vec![subnet(3)]));
    let text = checked.network.unwrap().text;
    assert!(text.contains("shop") && checked.body.is_none(), "{text}");
    let services = check(&placed(), &context(network(false, true), vec![subnet(3)]));
    assert_eq!(services.body.unwrap().external_ip, Some(false));
}

#[test]
fn node_subnets_need_room() {
    let said = |subnets: Vec<SubnetRow>, chosen: &str| {
        let form = Typed {
            node_subnet: chosen.into(),
            ..placed()
        };
        check(&form, &context(network(true, false), subnets))
            .node_subnet
            .map(|message| message.text)
    };
    assert_eq!(said(vec![subnet(252)], SUBNET), None);
    assert!(said(vec![subnet(253)], SUBNET).unwrap().contains("10.0.1.0/24"), "full");
    assert_ne!(
        said(vec![subnet(0)], ""),
        said(vec![], ""),
        "none chosen, and none there"
    );
}

#[test]
fn node_counts_have_bounds_of_their_own() {
    let count = |from, count: &str| {
        let form = Typed {
            from,
            count: count.into(),
            pods: "10.8.0.0/13".into(),
            ..typed()
        };
        check(&form, &context(network(true, false), vec![]))
            .body
            .map(|body| body.nodes)
    };
    assert_eq!(count(NodesFrom::Join, "5000"), Some(Some(5_000)));
    assert_eq!(count(NodesFrom::Join, "5001"), None);
    assert_eq!(count(NodesFrom::Lab, LAB_NODES), Some(Some(3)));
    for bad in ["", "0", "17", "x", "-1"] {
        assert_eq!(count(NodesFrom::Lab, bad), None, "{bad}");
    }
}

#[test]
fn fewer_blocks_than_nodes_are_refused() {
    let form = Typed {
        pods: "10.1.0.0/24".into(),
        count: "5".into(),
        ..typed()
    };
    let checked = check(&form, &context(network(true, false), vec![]));
    let message = checked.pods.message.unwrap();
    assert_eq!(message.weight, Weight::Error);
    assert!(
        message.text.contains('4') && message.text.contains('5'),
        "{}",
        message.text
    );
    assert!(checked.body.is_none());
}

#[test]
fn the_preview_says_what_is_made_and_what_it_takes() {
    let lines = preview(&placed(), &context(network(true, false), vec![subnet(3)]));
    let line = |key| {
        lines
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, text)| text.as_str())
    };
    assert_eq!(line(Key::Network), Some("shop"));
    assert_eq!(line(Key::NodeAddresses), Some("web 10.0.1.0/24"));
    assert_eq!(
        line(Key::PodAddresses),
        Some("10.1.0.0/16: 1,024 blocks of 64 addresses")
    );
    assert!(line(Key::Mtu).unwrap().contains("1450"), "the network's");
    assert_eq!(needs(&placed()), [("cluster", 1), ("subnet", 1)]);
    let quotas = [Quota {
        resource: "network".into(),
        used: 5,
        limit: Some(5),
    }];
    assert!(quota::reached(&quotas, &needs(&typed())).is_some());
    assert!(quota::reached(&quotas, &needs(&placed())).is_none());
}
