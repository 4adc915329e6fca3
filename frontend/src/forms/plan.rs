//! What a delete would do, in words: the server's plan, read out.

use portolan_shared::v1::{DeletePlan, PlanItem, PlanKind};

use crate::i18n::{Key, format, tn, tnp, tp};

/// From so many ports on, the name must be typed before the button works.
const TYPED_FROM: u64 = 10;

/// `14 ports: web-1, web-2, +12`.
pub fn line(item: &PlanItem) -> String {
    let count = tn(
        match item.kind {
            PlanKind::Cluster => Key::CountClusters,
            PlanKind::Network => Key::CountNetworks,
            PlanKind::Subnet => Key::CountSubnets,
            PlanKind::Node => Key::CountNodes,
            PlanKind::Pod => Key::CountPods,
            PlanKind::Port => Key::CountPorts,
            PlanKind::ExternalIp => Key::CountExternalIps,
        },
        item.count,
    );
    let mut names = item
        .names
        .iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect::<Vec<_>>();
    if names.is_empty() {
        return count;
    }
    let more = item.count.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(tp(Key::AndMore, &[("n", &format::number(more))]));
    }
    tp(Key::FoldedUnder, &[("anchor", &count), ("count", &names.join(", "))])
}

/// How many of a kind go.
fn going(plan: &DeletePlan, kinds: &[PlanKind]) -> u64 {
    let of_kind = plan.goes.iter().filter(|item| kinds.contains(&item.kind));
    of_kind.map(|item| item.count).sum()
}

/// Whether the name must be typed: much goes, or a cluster does.
pub fn wants_name(plan: &DeletePlan) -> bool {
    let ports = going(plan, &[PlanKind::Node, PlanKind::Pod, PlanKind::Port]);
    ports >= TYPED_FROM || going(plan, &[PlanKind::Cluster]) > 0
}

/// What the button says: the thing, and how many ports (of a cluster: nodes, of a node: pods) go with it.
pub fn button(kind: PlanKind, plan: Option<&DeletePlan>) -> String {
    let (alone, with, parts): (Key, Key, &[PlanKind]) = match kind {
        PlanKind::Network => (
            Key::DeleteNetwork,
            Key::DeleteNetworkAnd,
            &[PlanKind::Node, PlanKind::Pod, PlanKind::Port],
        ),
        PlanKind::Subnet => (
            Key::DeleteSubnet,
            Key::DeleteSubnetAnd,
            &[PlanKind::Node, PlanKind::Pod, PlanKind::Port],
        ),
        PlanKind::Cluster => (Key::DeleteCluster, Key::DeleteClusterAnd, &[PlanKind::Node]),
        PlanKind::Node => (Key::RemoveNode, Key::RemoveNodeAnd, &[PlanKind::Pod]),
        PlanKind::Port | PlanKind::Pod | PlanKind::ExternalIp => (Key::DeletePort, Key::DeletePort, &[]),
    };
    match plan.map_or(0, |plan| going(plan, parts)) {
        0 => crate::i18n::t(alone).to_owned(),
        n => tnp(with, n, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: PlanKind, count: u64, names: &[&str]) -> PlanItem {
        PlanItem {
            kind,
            count,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            reason: None,
        }
    }

    fn plan(goes: Vec<PlanItem>) -> DeletePlan {
        DeletePlan {
            revision: 1,
            goes,
            stays: vec![],
            stops: vec![],
        }
    }

    #[test]
    fn a_line_names_the_first_and_counts_the_rest() {
        assert_eq!(
            line(&item(PlanKind::Port, 14, &["web-1", "", "web-2"])),
            "14 ports: web-1, web-2, +12"
        );
        assert_eq!(line(&item(PlanKind::Network, 1, &["shop"])), "1 network: shop");
        assert_eq!(line(&item(PlanKind::Pod, 3, &[])), "3 pods");
    }

    #[test]
    fn much_or_a_cluster_wants_its_name_typed() {
        let network = |ports| plan(vec![item(PlanKind::Network, 1, &[]), item(PlanKind::Port, ports, &[])]);
        assert!(!wants_name(&network(9)));
        assert!(wants_name(&network(10)));
        assert!(wants_name(&plan(vec![item(PlanKind::Cluster, 1, &["shop"])])));
        let mixed = vec![item(PlanKind::Node, 3, &[]), item(PlanKind::Pod, 7, &[])];
        assert!(wants_name(&plan(mixed)), "nodes and pods are ports too");
    }

    #[test]
    fn the_button_says_what_goes() {
        let ports = plan(vec![item(PlanKind::Network, 1, &[]), item(PlanKind::Port, 14, &[])]);
        assert_eq!(button(PlanKind::Network, Some(&ports)), "Delete network and 14 ports");
        assert_eq!(button(PlanKind::Network, None), "Delete network");
        let cluster = plan(vec![
            item(PlanKind::Cluster, 1, &[]),
            item(PlanKind::Node, 1, &[]),
            item(PlanKind::Pod, 6, &[]),
        ]);
        assert_eq!(button(PlanKind::Cluster, Some(&cluster)), "Delete cluster and 1 node");
        assert_eq!(button(PlanKind::Port, Some(&ports)), "Delete port");
    }
}
