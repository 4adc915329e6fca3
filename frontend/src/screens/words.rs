//! Words for the values of read models.

use portolan_shared::status::PortStatus;
use portolan_shared::v1::{ClusterState, NodeState, PathKind, PortKind, PortRow, SubnetPurpose, SubnetRow};

use crate::i18n::Key;
use crate::table::Tone;

/// A network's status.
pub fn network_status(of: PortStatus) -> (Tone, Key) {
    match status(of) {
        (tone, Key::StatusActive) => (tone, Key::NetworkActive),
        (tone, Key::StatusDisabled) => (tone, Key::NetworkDisabled),
        other => other,
    }
}

/// A port's status.
pub fn status(status: PortStatus) -> (Tone, Key) {
    match status {
        PortStatus::Active => (Tone::Active, Key::StatusActive),
        PortStatus::Build => (Tone::Building, Key::StatusBuilding),
        PortStatus::Degraded => (Tone::Error, Key::ClusterDegraded),
        PortStatus::Down => (Tone::Down, Key::StatusDown),
        PortStatus::Disabled => (Tone::Disabled, Key::StatusDisabled),
        PortStatus::Error => (Tone::Error, Key::StatusError),
    }
}

/// A port's status: down because nothing is attached is no alarm.
pub fn port_status(port: &PortRow) -> (Tone, Key) {
    let (tone, word) = status(port.status);
    match &port.reason {
        Some(reason) if reason.code == "port.not_attached" && tone == Tone::Down => (Tone::Idle, word),
        _ => (tone, word),
    }
}

/// A cluster's state.
pub fn cluster_state(state: ClusterState) -> (Tone, Key) {
    match state {
        ClusterState::Empty => (Tone::Idle, Key::ClusterEmpty),
        ClusterState::Creating => (Tone::Building, Key::ClusterCreating),
        ClusterState::Ready => (Tone::Active, Key::StateReady),
        ClusterState::Degraded => (Tone::Error, Key::ClusterDegraded),
        ClusterState::Down => (Tone::Down, Key::StatusDown),
    }
}

/// A node's state.
pub fn node_state(state: NodeState) -> (Tone, Key) {
    match state {
        NodeState::Expected => (Tone::Idle, Key::NodeExpected),
        NodeState::Ready => (Tone::Active, Key::StateReady),
        NodeState::Awaited => (Tone::Building, Key::NodeAwaited),
        NodeState::Behind => (Tone::Building, Key::NodeBehind),
        NodeState::Error => (Tone::Error, Key::StatusError),
        NodeState::NoBlock => (Tone::Error, Key::NodeNoBlock),
        NodeState::Silent => (Tone::Down, Key::NodeSilent),
        NodeState::Found => (Tone::Down, Key::NodeFound),
        NodeState::Copied => (Tone::Error, Key::NodeCopied),
        NodeState::NoPath => (Tone::Error, Key::NodeNoPath),
    }
}

/// What holds a port.
pub fn kind(kind: PortKind) -> Key {
    match kind {
        PortKind::Node => Key::KindNode,
        PortKind::Pod => Key::KindPod,
        PortKind::Gateway => Key::KindGateway,
        PortKind::ClusterAddress => Key::KindClusterAddress,
        PortKind::Reserved => Key::KindReserved,
        PortKind::Device => Key::KindDevice,
        PortKind::Provider => Key::KindProvider,
        PortKind::Shadow => Key::KindShadow,
    }
}

/// What a subnet is for.
pub fn purpose(purpose: SubnetPurpose) -> Key {
    match purpose {
        SubnetPurpose::General => Key::PurposeGeneral,
        SubnetPurpose::Nodes => Key::PurposeNodes,
        SubnetPurpose::Pods => Key::PurposePods,
    }
}

/// How pods of two nodes reach each other.
pub fn path(path: PathKind) -> Key {
    match path {
        PathKind::Auto => Key::PathAuto,
        PathKind::Routes => Key::PathRoutes,
        PathKind::Vxlan => Key::PathVxlan,
    }
}

/// The same where one is chosen for a new cluster, and why it cannot be.
pub fn path_offer(of: PathKind) -> (Key, Option<Key>) {
    match of {
        PathKind::Vxlan => (Key::PathVxlanOffer, Some(Key::PathVxlanOff)),
        other => (path(other), None),
    }
}

/// What to call a thing that may have no name: its name, else the beginning of its id.
pub fn name_or_id(name: &str, id: &str) -> String {
    if name.is_empty() {
        id.split('-').next().unwrap_or(id).to_owned()
    } else {
        name.to_owned()
    }
}

/// What to call a subnet: its name, else its range.
pub fn subnet_name(subnet: &SubnetRow) -> String {
    if subnet.name.is_empty() {
        subnet.cidr.to_string()
    } else {
        subnet.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::CreateCluster;

    use super::*;

    #[test]
    fn what_has_no_name_is_called_by_its_id() {
        assert_eq!(name_or_id("web", "0193-1"), "web");
        assert_eq!(name_or_id("", "01930000-0000-7000"), "01930000");
    }

    #[test]
    fn a_path_can_be_chosen_if_and_only_if_the_server_takes_it() {
        for path in [PathKind::Auto, PathKind::Routes, PathKind::Vxlan] {
            let asked = CreateCluster {
                name: "shop".to_owned(),
                path,
                ..CreateCluster::default()
            };
            let taken = portolan_shared::cluster::check(&asked).is_ok();
            assert_eq!(path_offer(path).1.is_none(), taken, "{path:?}");
        }
    }
}
