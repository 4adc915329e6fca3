//! What may happen in a world, and what comes of it.

use std::collections::BTreeSet;

use portolan_agent::desired::State;
use portolan_core::protocol::standing::Standing;
use portolan_shared::tickets::turn;
use stateright::{Model, Property};

use crate::check;
use crate::protocol::{Planted, Protocol};
use crate::shared::Shared;
use crate::store::{Ask, Pod, Pods, Rows, key};
use crate::world::{Action, Late, Left, Machine, Server, Up, World};

/// Most tickets that a machine is given.
const MOST_TICKETS: u64 = 5;

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
        given.into_iter().all(|tickets| turn(tickets.0.given) <= MOST_TICKETS)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        check::properties()
    }
}
