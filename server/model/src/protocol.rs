//! The protocol as it is looked at: how large, and what was worked out of it so far.

use std::collections::BTreeSet;

use portolan_agent::desired::State;
use portolan_core::command::Outcome;
use portolan_core::protocol::gate::Gate;
use portolan_core::protocol::leases::Shown;
use portolan_core::protocol::standing::Standing;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::refusal::Refusal;
use portolan_wire::agent::Claim;

use crate::agent::Session;
use crate::shared::{Memo, Shared};
use crate::store::{Ask, Rows, number};
use crate::told;
use crate::world::{Begin, Down, Left, Machine, Stream, Told, Up, Within, World};

/// A mistake of the world's, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Blocks are leased before all nodes have shown what they hold.
    NoGate,
    /// A removed node's blocks are free at once.
    NoQuarantine,
    /// A pod is given an address of a block that was given back.
    GivesOn,
    /// A block that another history leases to a node which had let go of it is used.
    KeepsWhatCameBack,
    /// What a state of another history lacks is not claimed.
    NoClaim,
}

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Control planes.
    pub servers: u8,
    /// Machines that are nodes at the beginning, and in the copy of the database.
    pub nodes: u8,
    /// Machines that are hosts without a node at the beginning.
    pub hosts: u8,
    /// Blocks in the pod range.
    pub blocks: u8,
    /// Most frames on their way to an agent before its control plane tells it more.
    pub in_flight: u8,
    /// What may happen.
    pub left: Left,
}

/// What is asked of which store: by a run that has not committed yet, in the history that holds a point.
type Asked = (Shared<Rows>, Option<u8>, Option<Within>, Ask);
/// What is stored then, and the answer.
type Decided = (Shared<Rows>, Result<Outcome, Refusal>);
/// A node that has a state meets a store.
type Meeting = (Shared<Rows>, Shared<State>, NodeId);
/// Blocks with their numbers.
type Numbered = Vec<(BlockId, u8)>;

/// The protocol of epochs, leases and claims, with the control plane's and the agent's own decisions.
pub struct Protocol {
    pub(crate) size: Size,
    pub(crate) planted: Option<Planted>,
    pub(crate) decided: Memo<Asked, Decided>,
    pub(crate) gates: Memo<Shared<Rows>, Shared<Gate>>,
    pub(crate) standings: Memo<(Shared<Rows>, NodeId, u8), Standing>,
    pub(crate) begun: Memo<Meeting, (Shared<Begin>, Option<Shown>)>,
    news: Memo<(Shared<Rows>, Shared<Rows>), Shared<Told>>,
    sessions: Memo<(Shared<State>, Option<Session>, Down), Option<Session>>,
    own: Memo<(Shared<State>, NodeId), Shared<Numbered>>,
}

impl Protocol {
    /// Of this size.
    pub fn new(size: Size) -> Self {
        Self {
            size,
            planted: None,
            decided: Memo::default(),
            gates: Memo::default(),
            standings: Memo::default(),
            begun: Memo::default(),
            news: Memo::default(),
            sessions: Memo::default(),
            own: Memo::default(),
        }
    }

    /// The same with a mistake.
    pub fn with(self, planted: Planted) -> Self {
        Self {
            planted: Some(planted),
            ..self
        }
    }

    /// What a control plane tells of what has changed.
    pub(crate) fn told(&self, before: &Shared<Rows>, after: &Shared<Rows>) -> Shared<Told> {
        self.news.get((before.clone(), after.clone()), |(before, rows)| {
            Shared::new(Told {
                change: told::change(before, rows),
                mark: told::progress(rows),
            })
        })
    }

    /// The blocks that a machine's state says are its node's.
    pub(crate) fn own(&self, machine: &Machine) -> Numbered {
        let Some(node) = machine.node else { return Vec::new() };
        let own = self.own.get((machine.desired.clone(), node), |(desired, node)| {
            let blocks = desired.desired(*node).own_blocks;
            Shared::new(blocks.iter().map(|block| (block.id, number(block.prefix))).collect())
        });
        (*own).clone()
    }

    /// Blocks, by number, that pods of a machine have addresses of or may be given.
    pub(crate) fn live(&self, machine: &Machine) -> u8 {
        self.usable(machine)
            .iter()
            .fold(machine.used(), |bits, (_, block)| bits | 1 << block)
    }

    /// Blocks that pods may be given addresses of.
    pub(crate) fn usable(&self, machine: &Machine) -> Numbered {
        if !machine.on || machine.removed {
            return Vec::new();
        }
        let mut own = self.own(machine);
        let gives_on = self.planted == Some(Planted::GivesOn);
        own.retain(|(block, _)| gives_on || !machine.given_back.contains(block));
        own
    }

    /// Blocks that are held and empty.
    pub(crate) fn empty(&self, machine: &Machine) -> Numbered {
        let mut own = self.own(machine);
        own.retain(|(_, block)| !machine.pods.contains_key(block));
        own
    }

    /// What an agent has after what it was told; the stream ends where it does not take it.
    pub(crate) fn take(&self, world: &mut World, at: usize) -> Option<()> {
        let machine = &mut world.machines[at];
        let stream = machine.stream.as_mut()?;
        let told = stream.down.remove(0);
        let before = stream.arriving.clone().map(|arriving| Session {
            desired: machine.desired.clone(),
            arriving,
            claiming: stream.claiming,
            claim: None,
        });
        if let Down::Begin(ticket, begin) = &told {
            machine.ticket = *ticket;
            let begin = &begin.welcome;
            stream.reported = (!begin.other_history).then_some(begin.pod_seq);
        }
        if let Down::Refused(removed) = told {
            machine.removed |= removed;
            machine.stream = None;
            return Some(());
        }
        // Tickets make no difference here.
        let told = match told {
            Down::Begin(_, begin) => Down::Begin(0, begin),
            told => told,
        };
        let after = self
            .sessions
            .get((machine.desired.clone(), before, told), |(desired, before, told)| {
                let after = match (told, before) {
                    (Down::Begin(_, begin), _) => Session::begin(desired, begin),
                    (Down::Change(told), Some(session)) => session.told(None, told),
                    (Down::Ack(revision, told), Some(session)) => session.told(Some(*revision), told),
                    (Down::Change(_) | Down::Ack(..), None) | (Down::Refused(_), _) => return None,
                };
                after.ok()
            });
        let Some(after) = after else {
            machine.stream = None;
            return Some(());
        };
        let regained = match stream.claiming && !after.claiming {
            true => machine.desired.regained(&after.desired, machine.node?),
            false => Vec::new(),
        };
        machine.desired = after.desired;
        stream.arriving = Some(after.arriving);
        stream.claiming = after.claiming;
        let claim = match self.planted {
            Some(Planted::NoClaim) => after.claim.map(|_| Shared::new(vec![Claim::default()])),
            _ => after.claim,
        };
        stream.up.extend(claim.map(Up::Claim));
        let own: BTreeSet<BlockId> = self.own(&world.machines[at]).into_iter().map(|(id, _)| id).collect();
        let machine = &mut world.machines[at];
        machine.given_back.retain(|block| own.contains(block));
        let empty = regained
            .iter()
            .filter(|block| !machine.pods.contains_key(&number(block.prefix)));
        let empty: Vec<BlockId> = empty.map(|block| block.id).collect();
        if self.planted != Some(Planted::KeepsWhatCameBack) {
            machine.given_back.extend(empty);
        }
        Some(())
    }

    /// Whether an agent may report.
    pub(crate) fn reports(machine: &Machine) -> bool {
        let ready = |stream: &Stream| stream.arriving.is_some() && !stream.claiming && stream.up.is_empty();
        machine.on && !machine.removed && machine.stream.as_ref().is_some_and(ready)
    }
}

impl Machine {
    /// Blocks, by number, that its pods have addresses of.
    fn used(&self) -> u8 {
        self.pods.keys().fold(0, |bits, block| bits | 1 << block)
    }

    /// Tells what was given back.
    pub(crate) fn owe(&mut self) {
        let blocks = self.given_back.iter().copied().collect();
        if let Some(stream) = &mut self.stream {
            stream.owed = true;
            stream.up.push(Up::LetGo(blocks));
        }
    }
}
