//! A state on its way: a snapshot in parts, and, where it is of another history, the wait until what it lacks is decided.

use portolan_wire::agent::{Block, Change, Claim, Node, Position, Snapshot, Span, Welcome};
use portolan_wire::field;
use portolan_wire::item::{Body as _, Items, read};
use portolan_wire::{CLAIM_PART, older};

use super::{Id, Rejected, State};

/// What a connection has told so far of the state that it brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arriving {
    store: Id,
    history: Vec<Span>,
    /// Whether the control plane has said that the state here is of another history.
    other_history: bool,
    parts: Option<State>,
    /// The state of the other history, whole, and the revision up to which it has to come before it counts: unknown until
    /// the claim is answered.
    held: Option<(State, Option<u64>)>,
}

/// What came of something received.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// More has to come.
    Nothing,
    /// This is the state now.
    State(Box<State>),
    /// This has to be claimed before the state that has come counts; in parts.
    Claim(Vec<Claim>),
}

impl Arriving {
    /// By the welcome of a connection.
    ///
    /// # Errors
    /// If it is not as the protocol says.
    pub fn new(welcome: &Welcome) -> Result<Self, Rejected> {
        Ok(Self {
            store: field::id("store_id", &welcome.store_id)?,
            history: welcome.history.clone(),
            other_history: welcome.other_history,
            ..Self::default()
        })
    }

    /// The runs that the control plane has named.
    pub fn history(&self) -> &[Span] {
        &self.history
    }

    /// Takes the next part of a snapshot. `have` is the state it will replace.
    ///
    /// # Errors
    /// If it is older than `have` in the same history, or not as the protocol says.
    pub fn part(&mut self, mut part: Snapshot, have: &State) -> Result<Received, Rejected> {
        if !self.other_history && self.store == have.store && part.revision < have.revision {
            return Err(Rejected::Older {
                offered: part.revision,
                have: have.revision,
            });
        }
        let items = older::items_of_snapshot(&mut part);
        let items = items.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let items: Items = items.into_iter().collect();
        // The cluster sorts before all else, so it is in the first part.
        let first = items.all::<portolan_wire::agent::Cluster>().next().is_some();
        let mut state = match (self.parts.take(), first) {
            // A first part begins anew, also when a snapshot was cut off by another.
            (_, true) => State {
                store: self.store,
                revision: part.revision,
                position: part.position.take(),
                history: self.history.clone(),
                items: Items::default(),
            },
            (Some(state), false) if state.revision == part.revision => state,
            (_, false) => return Err(Rejected::Parts),
        };
        for item in items.iter() {
            let (id, body) = read(item)?;
            state.items.put(id, body);
        }
        if part.more {
            self.parts = Some(state);
            return Ok(Received::Nothing);
        }
        if !self.other_history {
            return Ok(Received::State(Box::new(state)));
        }
        let claim = claim(have, &state);
        self.held = Some((state, None));
        Ok(Received::Claim(claim))
    }

    /// A commit's changes, if they are of a state that does not count yet; else they are given back.
    ///
    /// # Errors
    /// If they are not as the protocol says.
    pub fn change(&mut self, change: Change) -> Result<Result<Received, Change>, Rejected> {
        let Some((state, _)) = &mut self.held else {
            return Ok(Err(change));
        };
        state.change(change)?;
        Ok(Ok(self.counts()))
    }

    /// Everything up to `head` has come. True if that was of a state that does not count yet.
    pub fn progress(&mut self, head: u64, position: Option<Position>) -> Option<Received> {
        let (state, _) = self.held.as_mut()?;
        state.progress(head, position);
        Some(self.counts())
    }

    /// The claim is answered: the state counts once it has come up to `revision`.
    pub fn claimed(&mut self, revision: u64) -> Received {
        if let Some((_, until)) = &mut self.held {
            *until = Some(revision);
        }
        self.counts()
    }

    fn counts(&mut self) -> Received {
        let state = self
            .held
            .take_if(|(state, until)| until.is_some_and(|until| state.revision >= until));
        match state {
            Some((state, _)) => {
                self.other_history = false;
                Received::State(Box::new(state))
            }
            None => Received::Nothing,
        }
    }
}

impl State {
    /// A state that one snapshot of a store holds, and the runs of its writers.
    ///
    /// # Errors
    /// If it is not whole, or not as the protocol says.
    pub fn of_snapshot(store: Id, history: Vec<Span>, snapshot: Snapshot) -> Result<Self, Rejected> {
        let mut arriving = Arriving {
            store,
            history,
            ..Arriving::default()
        };
        match arriving.part(snapshot, &Self::default())? {
            Received::State(state) => Ok(*state),
            Received::Nothing | Received::Claim(_) => Err(Rejected::Parts),
        }
    }
}

/// Nodes and blocks that the old state has and the new one lacks. A block goes with its node, which says which machine it
/// was leased to.
fn claim(have: &State, new: &State) -> Vec<Claim> {
    let mut items = Vec::new();
    let mut nodes: Vec<Vec<u8>> = Vec::new();
    for block in have.items.all::<Block>() {
        let known = field::id("id", &block.id).is_ok_and(|id| new.items.get::<Block>(id).is_some());
        if !known && !block.lease.is_empty() {
            nodes.push(block.node_id.clone());
            items.push(block.item());
        }
    }
    nodes.sort();
    nodes.dedup();
    let nodes = nodes
        .iter()
        .filter_map(|id| have.items.get::<Node>(field::id("id", id).ok()?));
    items.splice(0..0, nodes.map(|node| node.item()).collect::<Vec<_>>());
    let parts = items.len().div_ceil(CLAIM_PART).max(1);
    let part = |at: usize| Claim {
        items: items.iter().skip(at * CLAIM_PART).take(CLAIM_PART).cloned().collect(),
        more: at + 1 < parts,
    };
    (0..parts).map(part).collect()
}
