//! Epochs: each begins when an agent shows that the store had another history (it was put back from a copy, or a standby
//! took over that lacked the newest commits), and keeps what was found again and what is in dispute.

use std::net::IpAddr;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NodeId, ProjectId};
use portolan_shared::kinds::epochs::{self as wire, EpochId};
use portolan_shared::v1::AuditKind;
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::{Fields, moment};
use crate::model::{Born, Clusters, Column, Kind, Micros, Revision};
use crate::quotas::Counted;
use crate::tables::Table;

/// An epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: EpochId,
    /// When an agent first showed the other history.
    pub began_at: Micros,
    /// The newest revision that both histories have; `None`: none that is known.
    pub fork: Option<Revision>,
    /// The newest revision of the other history that was shown.
    pub lost_to: Revision,
    /// Name of the node that showed it first.
    pub shown_by: String,
    /// How many blocks were taken back by their leases.
    pub blocks_found: u64,
    /// Nodes that the store did not know, in the order in which they were found.
    pub nodes_found: Vec<NodeId>,
    /// Blocks that could not be taken back, at most [`MOST_DISPUTES`].
    pub disputes: Vec<Dispute>,
}

/// A block that an agent holds by a lease of the lost history, and that could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its addresses.
    pub cidr: Cidr,
    /// Name of the node that holds it, or its id where no name is known.
    pub node: String,
    /// Why it could not be taken back.
    pub cause: DisputeCause,
    /// By which lease it is held: its holder is leased it again once it is free. `None`: that was not written down.
    pub lease: Option<DisputedLease>,
}

/// A lease of a block that another has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputedLease {
    /// The block's id in it.
    pub id: BlockId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node it was leased to.
    pub node: NodeId,
    /// That node's addresses.
    pub addresses: Vec<IpAddr>,
    /// SHA-256 of the public key of the machine that was that node.
    pub machine: [u8; 32],
    /// The revision that leased it, of the lost history.
    pub leased_at: Revision,
}

/// Why a block could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeCause {
    /// It was leased anew, to the node of this name.
    Leased(String),
    /// The cluster's pod range does not hold it.
    OutsideRange,
    /// Another machine is that node now.
    OtherMachine,
}

impl Dispute {
    /// As a list shows it.
    pub fn wire(&self) -> wire::Dispute {
        let (code, sentence) = match &self.cause {
            DisputeCause::Leased(node) => ("block.leased", format!("{} was leased anew, to {node}.", self.cidr)),
            DisputeCause::OutsideRange => (
                "block.outside_range",
                format!("{} is not a block of the cluster's pod range.", self.cidr),
            ),
            DisputeCause::OtherMachine => (
                "block.other_machine",
                format!(
                    "Another machine is {} now, and the one that holds {} is not.",
                    self.node, self.cidr
                ),
            ),
        };
        wire::Dispute {
            cidr: self.cidr,
            node: self.node.clone(),
            code: code.to_owned(),
            sentence,
        }
    }
}

/// Most disputes kept of an epoch.
pub const MOST_DISPUTES: usize = 1000;

impl Kind for Epoch {
    const WORD: &'static str = "Epoch";
    type Id = EpochId;
    type Table = Table<Self, ()>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Epoch);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = Some(Born {
        version: 8,
        columns: &[],
        unique: &[],
        body: r#"{
            "id": "04040404-0404-0404-0404-040404040404", "began_at": 5, "fork": 26, "lost_to": 90,
            "shown_by": "node-1", "blocks_found": 2, "nodes_found": ["05050505-0505-0505-0505-050505050505"],
            "disputes": [{"cidr": "10.1.0.0/26", "node": "node-3", "cause": {"leased": "node-4"}, "lease": null}]
        }"#,
    });

    fn id(&self) -> EpochId {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        None
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Provider
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
        self.nodes_found.len() * 16
            + self
                .disputes
                .iter()
                .map(|dispute| 64 + dispute.node.len())
                .sum::<usize>()
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("began_at", moment(self.began_at));
        fields.may("put_back_to", self.fork);
        fields.put("lost_to", self.lost_to);
        fields.text("shown_by", &self.shown_by);
        fields.put("blocks_found", self.blocks_found);
        fields.list("nodes_found", &self.nodes_found);
        let named = |dispute: &Dispute| format!("{} ({})", dispute.cidr, dispute.node);
        fields.list("disputes", self.disputes.iter().map(named).collect::<Vec<_>>());
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}
