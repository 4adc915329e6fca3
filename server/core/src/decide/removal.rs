//! Deletes: what goes, what stays and why, and what stands in the way, all found out before anything is done.
//!
//! The writer carries a [`Removal`] out; a delete plan shows it. Both come of the same decision, so a plan says what the
//! delete does. Its cost grows with a cluster's nodes, not with their pods, but where all others in its private network
//! are ports without an address: to name some of those, the network's ports are gone through.

use std::sync::Arc;

use portolan_shared::refusal::Refusal;
use portolan_shared::stages::Because;

use super::{clusters, networks, nodes, ports, subnets};
use crate::alloc::Pools;
use crate::command::{Delete, Request};
use crate::draft::Draft;
use crate::kinds::quarantined_blocks::QuarantinedBlock;
use crate::model::{Key, Micros, Node, Object};
use crate::quotas::Quotas;
use crate::view::View;

/// What a delete does.
#[derive(Debug, Default)]
pub struct Removal {
    /// What goes: what was asked for first, and what is in something after that.
    pub goes: Vec<Goes>,
    /// What might be expected to go and stays, and why.
    pub stays: Vec<(Object, Because)>,
    /// What is changed by it, as it will be.
    pub(super) becomes: Vec<Object>,
}

/// Something that goes.
#[derive(Debug)]
pub enum Goes {
    /// It alone.
    Object(Object),
    /// A node with its ports, which are its own and its pods', and its blocks.
    Node(Arc<Node>),
}

impl Removal {
    /// What the delete of `what` would do to what is stored, if it were asked for now.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn planned(view: &View, request: &Request, what: Delete, now: Micros) -> Result<Self, Refusal> {
        let mut pools = Pools::default();
        // Nothing is made, so nothing is allocated or counted.
        let draft = Draft::new(view, &mut pools, &uuid::Uuid::nil, Quotas::NONE, now);
        Self::decide(&draft, request, what)
    }

    /// What the delete does, or why it is refused.
    pub(super) fn decide(draft: &Draft<'_>, request: &Request, what: Delete) -> Result<Self, Refusal> {
        match what {
            Delete::Network(id) => networks::removal(draft, request, id),
            Delete::Subnet(id) => subnets::removal(draft, request, id),
            Delete::Port(id) => ports::removal(draft, request, id),
            Delete::Cluster(id) => clusters::removal(draft, request, id),
            Delete::Node(id) => nodes::removal(draft, request, id),
        }
    }

    /// Adds something that goes.
    pub(super) fn take(&mut self, object: impl Into<Object>) {
        self.goes.push(Goes::Object(object.into()));
    }

    /// Does it; what was asked for, as it was.
    pub(super) fn carry_out(self, draft: &mut Draft<'_>) -> Vec<Object> {
        for object in self.becomes {
            draft.put(object);
        }
        // What is in something goes before it: ports of nodes before their subnets.
        for goes in &self.goes {
            if let Goes::Node(node) = goes {
                nodes::take_away(draft, node);
            }
        }
        for goes in self.goes.iter().rev() {
            if let Goes::Object(object) = goes {
                draft.delete(object.key());
            }
        }
        // Nobody else can be leased what is in no range any more.
        for goes in &self.goes {
            if let Goes::Object(Object::Subnet(subnet)) = goes {
                for block in draft.of::<QuarantinedBlock>(subnet.id) {
                    draft.delete(Key::QuarantinedBlock(block.id));
                }
            }
        }
        let asked_for = self.goes.into_iter().take(1);
        asked_for
            .map(|goes| match goes {
                Goes::Object(object) => object,
                Goes::Node(node) => Object::Node(node),
            })
            .collect()
    }
}
