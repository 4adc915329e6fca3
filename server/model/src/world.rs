//! A world: a store, the control planes that write to it, the machines with what they hold durably, and what is on its way
//! between them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use portolan_agent::desired::{Arriving, State};
use portolan_core::history::Point;
use portolan_core::model::Tickets;
use portolan_core::protocol::gate::Gate;
use portolan_core::protocol::leases::Shown;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_wire::agent::{self, Progress, Snapshot, Welcome};

use crate::shared::Shared;
use crate::store::{Pods, Rows};

/// A point of the history that is meant, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Within(pub(crate) Point);

impl Hash for Within {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.incarnation, self.0.revision).hash(state);
    }
}

/// What of each kind may still happen. What is not bounded by this ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// Hosts that join, or join again.
    pub joins: u8,
    /// Requests for a block.
    pub leases: u8,
    /// Pods that are started.
    pub pods: u8,
    /// Pods that end.
    pub ends: u8,
    /// Empty blocks that are given back.
    pub returns: u8,
    /// Connections that break.
    pub breaks: u8,
    /// Nodes that an administrator removes.
    pub removals: u8,
    /// Nodes that an administrator admits.
    pub admissions: u8,
    /// How often the database is put back to its beginning.
    pub restores: u8,
    /// How often a control plane starts anew.
    pub restarts: u8,
    /// Machines that are copied.
    pub clones: u8,
    /// Machines that are switched off for good.
    pub offs: u8,
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) store: Shared<Rows>,
    /// The copy that the database is put back to.
    pub(crate) copy: Option<Shared<Rows>>,
    pub(crate) servers: Vec<Server>,
    pub(crate) machines: Vec<Machine>,
    /// Frames that a control plane still reads of connections that their agents have given up.
    pub(crate) late: Vec<Late>,
    /// How many runs of writers there were.
    pub(crate) runs: u8,
    pub(crate) left: Left,
}

/// A control plane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    /// What it last saw of the store.
    pub(crate) view: Shared<Rows>,
    /// Whether its run has committed anything.
    pub(crate) begun: bool,
    pub(crate) gate: Shared<Gate>,
    /// Tickets given here.
    pub(crate) given: BTreeMap<[u8; 32], Ticketed>,
}

/// [`Tickets`], hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ticketed(pub(crate) Tickets);

impl Hash for Ticketed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.given, self.0.open, self.0.shown).hash(state);
    }
}

/// A machine with an agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    /// Which; its key is made of it, which a copy has too.
    pub(crate) number: u8,
    pub(crate) node: Option<NodeId>,
    pub(crate) desired: Shared<State>,
    /// Its pods, and the newest number given to one or to the end of one.
    pub(crate) pods: Pods,
    pub(crate) seq: u64,
    pub(crate) given_back: BTreeSet<BlockId>,
    pub(crate) ticket: u64,
    /// It was told that its node was removed.
    pub(crate) removed: bool,
    pub(crate) on: bool,
    pub(crate) stream: Option<Stream>,
}

/// A stream between an agent and a control plane, and what is on its way in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) server: u8,
    /// Towards the control plane.
    pub(crate) up: Vec<Up>,
    /// Towards the agent.
    pub(crate) down: Vec<Down>,
    /// The control plane waits for a claim.
    pub(crate) shown: Option<Shown>,
    /// The control plane has told this.
    pub(crate) told: Shared<Rows>,
    /// The control plane has refused the agent: it reads nothing more.
    pub(crate) ended: bool,
    /// What the agent makes of it; `None` before the welcome.
    pub(crate) arriving: Option<Shared<Arriving>>,
    /// The agent reports nothing else before its claim is answered.
    pub(crate) claiming: bool,
    /// Up to where pods were reported; `None`: all have to be.
    pub(crate) reported: Option<u64>,
    /// What was given back has been told.
    pub(crate) owed: bool,
}

/// A frame of an agent's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Up {
    Want { have: u32 },
    LetGo(Vec<BlockId>),
    Pods { pods: Pods, seq: u64 },
    Claim(Shared<Vec<agent::Claim>>),
}

/// A frame that its agent does not wait for any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Late {
    pub(crate) server: u8,
    pub(crate) node: NodeId,
    pub(crate) shown: Option<Shown>,
    pub(crate) up: Up,
}

/// Frames of a control plane's that go together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Down {
    /// The beginning of a stream, with a ticket.
    Begin(u64, Shared<Begin>),
    Change(Shared<Told>),
    /// A claim is answered; what was decided of it.
    Ack(u64, Shared<Told>),
    /// Whether the node was removed.
    Refused(bool),
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Begin {
    pub(crate) welcome: Welcome,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) mark: Progress,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) change: Option<agent::Change>,
    pub(crate) mark: Progress,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An agent connects to a control plane.
    Connect(u8, u8),
    /// The next frames of a control plane reach an agent.
    Down(u8),
    /// The next frame of an agent reaches its control plane.
    Up(u8),
    /// A frame of a connection that is gone is read after all.
    Late(u8),
    /// A control plane tells an agent what has changed.
    Tell(u8),
    /// A connection breaks.
    Break(u8),
    /// An agent asks for a block.
    Want(u8),
    /// An agent reports its pods.
    Report(u8),
    /// A pod is started, with an address of a block.
    Start(u8, u8),
    /// The pods of a block end.
    End(u8, u8),
    /// An agent gives a block back.
    Return(u8, u8),
    /// An agent tells again what it has given back.
    Owe(u8),
    /// A machine that is no node any more says what it has let go of.
    Part(u8, u8),
    /// A host joins.
    Join(u8, u8),
    /// An administrator removes a machine's node.
    Remove(u8),
    /// An administrator admits a machine's node.
    Admit(u8),
    /// An administrator says that the holder of a block is off.
    Release(u8),
    /// The database is put back.
    Restore,
    /// A control plane looks at the store.
    Look(u8),
    /// A control plane starts anew.
    Restart(u8),
    /// A machine is copied, disk and all.
    Clone(u8),
    /// A machine is switched off for good.
    Off(u8),
}
