//! Clusters with nodes and pods, in short words.

use portolan_core::command::{Command, PodAllocation};
use portolan_core::model::{HostPorts, Object, Pod};
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_shared::mac::MacAddress;

use super::{Kit, ip, node};

/// A cluster with a private network, to be joined.
pub async fn shop(kit: &Kit) -> ClusterId {
    kit.internet("203.0.113.0/24").await;
    kit.cluster("shop").await.id
}

/// A node that joined a cluster.
pub async fn joined(kit: &Kit, cluster: ClusterId, name: &str, address: &str) -> NodeId {
    let token = Command::CreateJoinToken {
        cluster,
        node: None,
        secret_hash: hash(name),
        expires_at: i64::MAX,
    };
    let token = kit.ask(token).await.unwrap();
    let Object::JoinToken(token) = &token.objects[0] else {
        panic!()
    };
    let join = Command::Join {
        token: token.id,
        secret_hash: hash(name),
        name: name.into(),
        address: ip(address),
        key_hash: hash(name),
    };
    let made = kit.ask(join).await.unwrap();
    assert!(matches!(made.objects[1], Object::Block(_)));
    node(&made.objects[0]).id
}

/// A secret's or key's hash, for tests.
pub fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..text.len()].copy_from_slice(text.as_bytes());
    hash
}

/// A pod that an agent reports.
pub fn pod(kit: &Kit, seq: u64, address: &str, mac: u64) -> PodAllocation {
    PodAllocation {
        id: kit.control.new_id().into(),
        pod: Pod {
            namespace: "default".into(),
            name: format!("web-{seq}"),
            container_id: format!("c{seq}"),
            seq,
            host_ports: HostPorts::default(),
        },
        addresses: vec![ip(address)],
        mac: MacAddress::from_u64(0x0200_0000_0000 + mac),
    }
}
