//! What may happen in a world, and what comes of it.

use std::collections::BTreeSet;

use portolan_agent::desired::State;
use portolan_core::command::Outcome;
use portolan_core::protocol::gate::Gate;
use portolan_core::protocol::leases::Shown;
use portolan_core::protocol::standing::Standing;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::refusal::Refusal;
use portolan_wire::agent::Claim;
use stateright::{Model, Property};

use crate::agent::Session;
use crate::check;
use crate::shared::{Memo, Shared};
use crate::store::{Ask, Pod, Pods, Rows, key, number};
use crate::told;
use crate::world::{Action, Begin, Down, Late, Left, Machine, Server, Told, Up, Within, World};

/// Most tickets that a machine is given.
const MOST_TICKETS: u64 = 5;

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

/// The protocol of epochs, leases and claims, with the control plane's and the agent's own decisions.
pub struct Protocol {
    size: Size,
    pub(crate) planted: Option<Planted>,
    pub(crate) decided: Memo<(Shared<Rows>, Option<u8>, Option<Within>, Ask), (Shared<Rows>, Result<Outcome, Refusal>)>,
    pub(crate) gates: Memo<Shared<Rows>, Shared<Gate>>,
    pub(crate) standings: Memo<(Shared<Rows>, NodeId, u8), Standing>,
    pub(crate) begun: Memo<(Shared<Rows>, Shared<State>, NodeId), (Shared<Begin>, Option<Shown>)>,
    news: Memo<(Shared<Rows>, Shared<Rows>), Shared<Told>>,
    sessions: Memo<(Shared<State>, Option<Session>, Down), Option<Session>>,
    own: Memo<(Shared<State>, NodeId), Shared<Vec<(BlockId, u8)>>>,
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
    pub(crate) fn own(&self, machine: &Machine) -> Vec<(BlockId, u8)> {
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
    fn usable(&self, machine: &Machine) -> Vec<(BlockId, u8)> {
        if !machine.on || machine.removed {
            return Vec::new();
        }
        let mut own = self.own(machine);
        let gives_on = self.planted == Some(Planted::GivesOn);
        own.retain(|(block, _)| gives_on || !machine.given_back.contains(block));
        own
    }

    /// Blocks that are held and empty.
    fn empty(&self, machine: &Machine) -> Vec<(BlockId, u8)> {
        let mut own = self.own(machine);
        own.retain(|(_, block)| !machine.pods.contains_key(block));
        own
    }

    /// What an agent has after what it was told; the stream ends where it does not take it.
    fn take(&self, world: &mut World, at: usize) -> Option<()> {
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
    fn reports(machine: &Machine) -> bool {
        let ready =
            |stream: &crate::world::Stream| stream.arriving.is_some() && !stream.claiming && stream.up.is_empty();
        machine.on && !machine.removed && machine.stream.as_ref().is_some_and(ready)
    }
}

/// Takes one of what may still happen.
fn spend(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let store = Shared::new(Rows::new(self.size.blocks));
        let machine = |number| Machine {
            number,
            node: None,
            desired: Shared::new(State::default()),
            pods: Pods::new(),
            seq: 0,
            given_back: BTreeSet::new(),
            ticket: 0,
            removed: false,
            on: true,
            stream: None,
        };
        let mut world = World {
            servers: (0..self.size.servers).map(|_| Server::new(self, &store)).collect(),
            machines: (0..self.size.nodes + self.size.hosts).map(machine).collect(),
            late: Vec::new(),
            runs: 0,
            left: Left {
                joins: self.size.nodes,
                pods: self.size.nodes,
                ..Left::default()
            },
            copy: None,
            store,
        };
        // All are nodes, have heard of each other, and run a pod.
        let nodes = || 0..self.size.nodes;
        let joins = nodes().map(|n| Action::Join(n, 0));
        let connects = nodes().flat_map(|n| [Action::Connect(n, 0), Action::Down(n)]);
        let pods = nodes().flat_map(|n| [Action::Start(n, n), Action::Report(n), Action::Up(n)]);
        for action in joins.chain(connects).chain(pods) {
            if let Some(next) = self.next_state(&world, action) {
                world = next;
            }
        }
        world.copy = Some(world.store.clone());
        world.left = self.size.left;
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        let servers = || 0..self.size.servers;
        for (at, machine) in (0_u8..).zip(&world.machines) {
            if !machine.on {
                continue;
            }
            match &machine.stream {
                None if machine.node.is_some() && !machine.removed => {
                    actions.extend(servers().map(|server| Action::Connect(at, server)));
                }
                None => {}
                Some(stream) => {
                    if !stream.down.is_empty() {
                        actions.push(Action::Down(at));
                    }
                    if !stream.up.is_empty() && !stream.ended {
                        actions.push(Action::Up(at));
                    }
                    if stream.down.len() < usize::from(self.size.in_flight) && world.has_news(self, machine) {
                        actions.push(Action::Tell(at));
                    }
                    if left.breaks > 0 {
                        actions.push(Action::Break(at));
                    }
                }
            }
            let usable = self.usable(machine);
            let reports = Self::reports(machine);
            if left.leases > 0 && reports && usable.iter().all(|(_, block)| machine.pods.contains_key(block)) {
                actions.push(Action::Want(at));
            }
            for (_, block) in &usable {
                let used = machine.pods.contains_key(block);
                if left.pods > 0 && !used {
                    actions.push(Action::Start(at, *block));
                }
                if left.returns > 0 && !used && reports {
                    actions.push(Action::Return(at, *block));
                }
            }
            if left.ends > 0 {
                actions.extend(machine.pods.keys().map(|block| Action::End(at, *block)));
            }
            if reports && !machine.given_back.is_empty() && machine.stream.as_ref().is_some_and(|stream| !stream.owed) {
                actions.push(Action::Owe(at));
            }
            let reported = machine.stream.as_ref().and_then(|stream| stream.reported);
            if reports && reported != Some(machine.seq) {
                actions.push(Action::Report(at));
            }
            if machine.removed {
                actions.extend(servers().map(|server| Action::Part(at, server)));
            }
            if left.joins > 0 && (machine.node.is_none() || machine.removed) {
                actions.extend(servers().map(|server| Action::Join(at, server)));
            }
            if left.removals > 0 && machine.node.is_some() {
                actions.push(Action::Remove(at));
            }
            if left.admissions > 0 && machine.node.is_some() {
                actions.push(Action::Admit(at));
            }
            if left.clones > 0 && machine.node.is_some() {
                actions.push(Action::Clone(at));
            }
            if left.offs > 0 {
                actions.push(Action::Off(at));
            }
        }
        actions.extend((0_u8..).zip(&world.late).map(|(at, _)| Action::Late(at)));
        actions.extend(
            (0_u8..)
                .zip(world.store.quarantined())
                .map(|(at, _)| Action::Release(at)),
        );
        if left.restores > 0 {
            actions.push(Action::Restore);
        }
        for server in servers() {
            if world.servers[usize::from(server)].view != world.store {
                actions.push(Action::Look(server));
            }
            if left.restarts > 0 {
                actions.push(Action::Restart(server));
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let left = &mut world.left;
        match action {
            Action::Connect(at, server) => world.connect(self, at, server),
            Action::Down(at) => self.take(&mut world, usize::from(at))?,
            Action::Up(at) => {
                let machine = &mut world.machines[usize::from(at)];
                let (node, stream) = (machine.node?, machine.stream.as_mut()?);
                let (server, shown, up) = (stream.server, stream.shown, stream.up.remove(0));
                let decided = world.read(self, server, node, shown, up);
                if decided.is_some() {
                    if let Some(stream) = &mut world.machines[usize::from(at)].stream {
                        stream.shown = None;
                    }
                    world.news(self, at, decided);
                }
            }
            Action::Late(at) => {
                let late = world.late.remove(usize::from(at));
                let _ = world.read(self, late.server, late.node, late.shown, late.up);
            }
            Action::Tell(at) => world.news(self, at, None),
            Action::Break(at) => {
                spend(&mut left.breaks)?;
                let machine = &mut world.machines[usize::from(at)];
                let (node, stream) = (machine.node?, machine.stream.take()?);
                let read = stream.up.into_iter().filter(|_| !stream.ended);
                world.late.extend(read.map(|up| Late {
                    server: stream.server,
                    node,
                    shown: stream.shown,
                    up,
                }));
            }
            Action::Want(at) => {
                spend(&mut left.leases)?;
                let have = self.own(&world.machines[usize::from(at)]).len() as u32;
                world.machines[usize::from(at)]
                    .stream
                    .as_mut()?
                    .up
                    .push(Up::Want { have });
            }
            Action::Report(at) => {
                let machine = &mut world.machines[usize::from(at)];
                let (pods, seq) = (machine.pods.clone(), machine.seq);
                let stream = machine.stream.as_mut()?;
                stream.reported = Some(seq);
                stream.up.push(Up::Pods { pods, seq });
            }
            Action::Start(at, block) => {
                spend(&mut left.pods)?;
                let machine = &mut world.machines[usize::from(at)];
                machine.seq += 1;
                let pod = Pod {
                    machine: at,
                    seq: machine.seq,
                };
                machine.pods.insert(block, pod);
            }
            Action::End(at, block) => {
                spend(&mut left.ends)?;
                let machine = &mut world.machines[usize::from(at)];
                machine.seq += 1;
                machine.pods.remove(&block);
            }
            Action::Return(at, block) => {
                spend(&mut left.returns)?;
                let machine = &mut world.machines[usize::from(at)];
                let (id, _) = self.own(machine).into_iter().find(|(_, own)| *own == block)?;
                machine.given_back.insert(id);
                machine.owe();
            }
            Action::Owe(at) => world.machines[usize::from(at)].owe(),
            Action::Part(at, server) => {
                let machine = &mut world.machines[usize::from(at)];
                let empty = self.empty(machine).into_iter().map(|(block, _)| block);
                let blocks: Vec<_> = empty.collect();
                machine.given_back.extend(blocks.iter().copied());
                if world.let_go(self, at, server, blocks) == Standing::Node {
                    world.machines[usize::from(at)].removed = false;
                }
            }
            Action::Join(at, server) => {
                spend(&mut left.joins)?;
                let node = world.join(self, at, server)?;
                let machine = &mut world.machines[usize::from(at)];
                if machine.node.replace(node) != Some(node) {
                    machine.desired = Shared::new(State::default());
                    machine.given_back.clear();
                }
                machine.removed = false;
            }
            Action::Remove(at) => {
                spend(&mut left.removals)?;
                let node = world.machines[usize::from(at)].node?;
                world.write(self, 0, Ask::Remove(node)).ok()?;
                if self.planted == Some(Planted::NoQuarantine) {
                    for block in world.store.clone().quarantined() {
                        let _ = world.write(self, 0, Ask::Release(block.id));
                    }
                }
            }
            Action::Admit(at) => {
                spend(&mut left.admissions)?;
                let node = world.machines[usize::from(at)].node?;
                world.write(self, 0, Ask::Admit(node)).ok()?;
                if world.store == before.store {
                    return None;
                }
            }
            Action::Release(at) => {
                let block = world.store.quarantined().nth(usize::from(at))?;
                let held = |machine: &Machine| machine.on && key(machine.number) == block.machine;
                if world.machines.iter().any(held) {
                    return None;
                }
                world.write(self, 0, Ask::Release(block.id)).ok()?;
            }
            Action::Restore => {
                spend(&mut left.restores)?;
                let copy = world.copy.clone()?;
                // What nobody else has heard of cannot be known again: that risk is said in words.
                if !check::heard_of(&world, &copy) {
                    return None;
                }
                world.store = copy;
            }
            Action::Look(server) => world.look(self, server),
            Action::Restart(server) => {
                spend(&mut left.restarts)?;
                world.restart(self, server);
            }
            Action::Clone(at) => {
                spend(&mut left.clones)?;
                let copy = Machine {
                    pods: Pods::new(),
                    stream: None,
                    ..world.machines[usize::from(at)].clone()
                };
                world.machines.push(copy);
            }
            Action::Off(at) => {
                spend(&mut left.offs)?;
                let machine = &mut world.machines[usize::from(at)];
                (machine.on, machine.stream) = (false, None);
                machine.pods.clear();
            }
        }
        (world != *before).then_some(world)
    }

    /// Two machines with one identity may take each other's place without end where no answer arrives.
    fn within_boundary(&self, world: &World) -> bool {
        let given = world.servers.iter().flat_map(|server| server.given.values());
        given.into_iter().all(|tickets| tickets.0.given <= MOST_TICKETS)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        check::properties()
    }
}

impl Machine {
    /// Blocks, by number, that its pods have addresses of.
    fn used(&self) -> u8 {
        self.pods.keys().fold(0, |bits, block| bits | 1 << block)
    }

    /// Tells what was given back.
    fn owe(&mut self) {
        let blocks = self.given_back.iter().copied().collect();
        if let Some(stream) = &mut self.stream {
            stream.owed = true;
            stream.up.push(Up::LetGo(blocks));
        }
    }
}
