//! Blocks of pod addresses whose holder has not been heard to let go: a node that was removed, or a machine that another
//! has taken the place of. Pods may still run there with these addresses, so nobody else is leased them, however long it
//! takes.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NodeId, ProjectId, SubnetId};
use portolan_shared::kinds::quarantined_blocks::{Former, HeldBlock, HeldBlocks};
use portolan_shared::v1::{self, AuditKind};
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::{Fields, moment};
use crate::model::{Block, Born, Clusters, Column, Kind, Micros, Node, Revision, Type, Value, address_bytes};
use crate::quotas::Counted;
use crate::tables::{Table, Unique, indexes};

/// A block in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedBlock {
    /// The id that it was leased under.
    pub id: BlockId,
    /// Whose it is.
    pub project: ProjectId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The pod subnet.
    pub subnet: SubnetId,
    /// Its addresses.
    pub cidr: Cidr,
    /// The node that leased it.
    pub node: NodeId,
    /// That node's name.
    pub node_name: String,
    /// SHA-256 of the public key of the machine that holds it.
    pub machine: [u8; 32],
    /// Whether two machines have shown the node's identity: that one of them lets go says nothing of the other.
    pub copied: bool,
    /// The revision at which it was leased.
    pub leased_at: Revision,
    /// Since when.
    pub since: Micros,
}

impl QuarantinedBlock {
    /// A block that its holder may still give addresses of.
    pub fn of(block: &Block, node: &Node, machine: [u8; 32], copied: bool, since: Micros) -> Self {
        Self {
            id: block.id,
            project: block.meta.project,
            cluster: block.cluster,
            subnet: block.subnet,
            cidr: block.cidr,
            node: node.id,
            node_name: node.name.clone(),
            machine,
            copied,
            leased_at: block.meta.revision,
            since,
        }
    }

    /// Whose machine holds it. `is_node`: whether there is such a node, which another machine is then.
    pub fn held(&self, is_node: impl Fn(NodeId) -> bool) -> HeldBlock {
        HeldBlock {
            cidr: self.cidr,
            node: self.node_name.clone(),
            former: match is_node(self.node) {
                true => Former::Replaced,
                false => Former::Removed,
            },
        }
    }

    /// Whose machines hold these, by address.
    pub fn all_held<'a>(blocks: impl Iterator<Item = &'a Arc<Self>>, is_node: impl Fn(NodeId) -> bool) -> HeldBlocks {
        let mut held: Vec<HeldBlock> = blocks.map(|block| block.held(&is_node)).collect();
        held.sort_by_key(|block| block.cidr);
        HeldBlocks(held)
    }
}

indexes! {
    /// Blocks in quarantine by cluster, subnet and node, and by first address.
    QuarantinedBlockIndexes of QuarantinedBlock {
        by cluster: ClusterId = |o| Some(o.cluster);
        by subnet: SubnetId = |o| Some(o.subnet);
        by node: NodeId = |o| Some(o.node);
        and starts: Unique<(SubnetId, IpAddr), BlockId> = |o| Some(((o.subnet, o.cidr.first()), o.id));
    }
}

impl Kind for QuarantinedBlock {
    const WORD: &'static str = "Quarantined block";
    type Id = BlockId;
    type Table = Table<Self, QuarantinedBlockIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "subnet",
            type_: Type::Bytes,
            value: |o| Value::Bytes(o.subnet.as_bytes().to_vec()),
        },
        Column {
            name: "first_address",
            type_: Type::Bytes,
            value: |o| Value::Bytes(address_bytes(o.cidr.first())),
        },
    ];
    const AUDIT: Option<AuditKind> = Some(AuditKind::QuarantinedBlock);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = Some(Born {
        version: 10,
        columns: &[("subnet", Type::Bytes), ("first_address", Type::Bytes)],
        unique: &[&["subnet", "first_address"]],
        body: r#"{
            "id": "04040404-0404-0404-0404-040404040404", "project": "01010101010101010101010101010101",
            "cluster": "05050505-0505-0505-0505-050505050505", "subnet": "06060606-0606-0606-0606-060606060606",
            "cidr": "10.1.0.0/26", "node": "07070707-0707-0707-0707-070707070707", "node_name": "node-1",
            "machine": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], "copied": false,
            "leased_at": 4, "since": 5
        }"#,
    });

    fn id(&self) -> BlockId {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.cluster)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        self.cidr.to_string()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("cluster", self.cluster);
        fields.put("cidr", self.cidr);
        fields.text("node", &self.node_name);
        fields.put("since", moment(self.since));
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Block, self.id).subnets([self.subnet]))
    }
}
