//! What happens to a world, by the seed.

use std::time::Duration;

use portolan_core::command::Command;
use portolan_plan::{Event, ROUTE_PROTOCOL, RouteKey, Sysctl};
use tokio::time::{Instant, sleep};

use crate::check;
use crate::database::Fault;
use crate::dice::Dice;
use crate::host::Host;
use crate::network::Reach;
use crate::world::World;

/// The longest time between two things that happen.
const LONGEST_REST: Duration = Duration::from_secs(4);
/// The longest time that something is away.
const LONGEST_AWAY: Duration = Duration::from_secs(60);
/// How long an agent that knows the newest leases is left alone after an older copy was put back: the promise is that one
/// such agent is heard before the gate lifts.
const WITNESS: Duration = Duration::from_secs(60);

/// What ends by itself later.
#[derive(Debug, Clone, Copy)]
enum Return {
    Server(usize),
    Agent(usize),
    Reach(usize),
    Database,
}

/// The things that happen, each as often as its weight says.
#[derive(Debug, Clone, Copy)]
enum Action {
    AddPod,
    AddPods,
    EndPod,
    KillAgent,
    CutPower,
    CutOff,
    Reset,
    KillServer,
    FailCommit,
    DatabaseAway,
    TakeCopy,
    PutBack,
    RemoveNode,
    GiveToken,
    FailDisk,
    LoseRoutes,
    ForwardingOff,
    CopyDisk,
    Admit,
    ChangeAddress,
    LoseBlock,
    FailSockets,
}

const WEIGHTS: [(Action, usize); 22] = [
    (Action::AddPod, 24),
    (Action::AddPods, 4),
    (Action::EndPod, 16),
    (Action::KillAgent, 6),
    (Action::CutPower, 2),
    (Action::CutOff, 6),
    (Action::Reset, 4),
    (Action::KillServer, 5),
    (Action::FailCommit, 4),
    (Action::DatabaseAway, 2),
    (Action::TakeCopy, 5),
    (Action::PutBack, 4),
    (Action::RemoveNode, 3),
    (Action::GiveToken, 8),
    (Action::FailDisk, 3),
    (Action::LoseRoutes, 3),
    (Action::ForwardingOff, 1),
    (Action::CopyDisk, 1),
    (Action::Admit, 3),
    (Action::ChangeAddress, 2),
    (Action::LoseBlock, 2),
    (Action::FailSockets, 2),
];

/// What goes on in a script.
pub struct Script {
    /// How often each thing happens in this seed.
    weights: Vec<(Action, usize)>,
    returns: Vec<(Instant, Return)>,
    /// The host that is left alone, and until when.
    witness: Option<(usize, Instant)>,
    /// What happened, for people.
    pub story: Vec<String>,
    begun: Instant,
}

impl Script {
    /// Nothing has happened. What happens is of another mixture in each seed: some things never do, others four times as
    /// often. Where everything happens a little, what takes two of a kind happens hardly ever.
    pub fn new(dice: &Dice) -> Self {
        let mixed = |(action, weight)| match action {
            Action::AddPod | Action::EndPod => (action, weight),
            _ => (action, weight * [0, 1, 1, 4][dice.below(4)]),
        };
        Self {
            weights: WEIGHTS.into_iter().map(mixed).collect(),
            returns: Vec::new(),
            witness: None,
            story: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// So many things happen, and after each what must hold at once is checked.
    ///
    /// # Errors
    /// What did not hold.
    pub async fn play(&mut self, world: &mut World, steps: usize) -> Result<(), String> {
        for host in 0..world.hosts.len() {
            world.give_token(host, None).await;
            world.hosts[host].start()?;
        }
        for _ in 0..steps {
            self.rest(world).await?;
            self.something(world).await;
        }
        Ok(())
    }

    fn tell(&mut self, what: String) {
        let at = self.begun.elapsed().as_millis();
        tracing::info!("{what}");
        self.story.push(format!("{at:>8} ms  {what}"));
    }

    async fn rest(&mut self, world: &mut World) -> Result<(), String> {
        let until = Instant::now() + world.dice.span(LONGEST_REST);
        while let Some(at) = self.returns.iter().map(|(at, _)| *at).min().filter(|at| *at <= until) {
            tokio::time::sleep_until(at).await;
            self.bring_back(world, at);
            check::at_once(world).await?;
        }
        tokio::time::sleep_until(until).await;
        check::at_once(world).await
    }

    fn bring_back(&mut self, world: &mut World, upto: Instant) {
        let (due, later) = self.returns.drain(..).partition(|(at, _)| *at <= upto);
        self.returns = later;
        let due: Vec<(Instant, Return)> = due;
        for (_, what) in due {
            self.tell(format!("{what:?} is back"));
            match what {
                Return::Server(number) => world.start_server(number),
                Return::Agent(host) => {
                    if let Err(error) = world.hosts[host].start() {
                        self.tell(format!("its agent does not start: {error}"));
                    }
                }
                Return::Reach(host) => world.network.set_reach(world.hosts[host].address, Reach::Whole),
                Return::Database => world.cloud.database.set_away(false),
            }
        }
    }

    /// Everything that is away comes back, and nothing fails any more.
    pub async fn end(&mut self, world: &mut World) {
        self.tell("all comes back".to_owned());
        world.cloud.database.heal();
        world.network.be_steady();
        let far = Instant::now() + Duration::from_secs(1_000_000);
        self.bring_back(world, far);
        for host in &world.hosts {
            world.network.set_reach(host.address, Reach::Whole);
            heal_disk(host);
            // The administrator has found the program that turned it off.
            host.kernel.state.lock().seen.sysctls.insert(Sysctl::ForwardV4, true);
        }
        sleep(Duration::from_secs(1)).await;
    }

    fn later(&mut self, world: &World, what: Return) {
        let at = Instant::now() + world.dice.span(LONGEST_AWAY);
        self.returns.push((at, what));
    }

    fn pick(&self, dice: &Dice) -> Action {
        let all: usize = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut at = dice.below(all);
        for (action, weight) in &self.weights {
            if at < *weight {
                return *action;
            }
            at -= weight;
        }
        Action::AddPod
    }

    /// A host that may be hurt now.
    fn host(&self, world: &World) -> Option<usize> {
        let host = world.dice.below(world.hosts.len());
        let spared = self.witness.filter(|(_, until)| *until > Instant::now());
        (spared.map(|(witness, _)| witness) != Some(host)).then_some(host)
    }

    async fn something(&mut self, world: &mut World) {
        let Some((action, what)) = self.act(world).await else {
            return;
        };
        self.tell(format!("{action:?}: {what}"));
    }

    async fn act(&mut self, world: &mut World) -> Option<(Action, String)> {
        let action = self.pick(&world.dice);
        let what = match action {
            Action::AddPod | Action::AddPods => {
                let host = world.dice.below(world.hosts.len());
                let many = if matches!(action, Action::AddPods) {
                    world.dice.below(70)
                } else {
                    1
                };
                (0..many).for_each(|_| world.hosts[host].add_pod());
                format!("{many} on host {host}")
            }
            Action::EndPod => {
                let live = world.pods.live();
                let many = if world.dice.once_in(5) { live.len() / 2 } else { 1 };
                for _ in 0..many {
                    if let Some((pod, _)) = world.dice.pick(&live) {
                        world.hosts[pod.0].end_pod(*pod);
                    }
                }
                format!("at most {many}")
            }
            Action::KillAgent => {
                let host = self.host(world)?;
                world.hosts[host].kill().await;
                self.later(world, Return::Agent(host));
                format!("of host {host}")
            }
            Action::CutPower => {
                let host = self.host(world)?;
                let extra = world.dice.below(200);
                world.hosts[host].cut_power(extra).await;
                self.later(world, Return::Agent(host));
                format!("of host {host}, {extra} bytes more arrived")
            }
            Action::ChangeAddress => {
                let host = self.host(world)?;
                let extra = world.dice.below(200);
                world.hosts[host].change_address(extra).await;
                self.later(world, Return::Agent(host));
                format!("host {host} is at {} now", world.hosts[host].address)
            }
            Action::FailSockets => {
                let (host, times) = (self.host(world)?, 1 + world.dice.below(3));
                world.paths.as_ref()?.fail_sockets(host, times);
                world.hosts[host].kill().await;
                self.later(world, Return::Agent(host));
                format!("of probes of host {host}, {times} times")
            }
            Action::LoseBlock => {
                let host = self.host(world)?;
                world.hosts[host].kill().await;
                self.later(world, Return::Agent(host));
                world.hosts[host].lose_block()?;
                format!("of another node, host {host}")
            }
            Action::CutOff => {
                let host = self.host(world)?;
                let reach = *world.dice.pick(&[Reach::None, Reach::Deaf])?;
                world.network.set_reach(world.hosts[host].address, reach);
                self.later(world, Return::Reach(host));
                format!("host {host}: {reach:?}")
            }
            Action::Reset => {
                let host = self.host(world)?;
                world.network.reset_host(world.hosts[host].address);
                format!("the connections of host {host}")
            }
            Action::KillServer => {
                let number = world.dice.below(world.servers.len());
                world.kill_server(number).await;
                self.later(world, Return::Server(number));
                format!("{number}")
            }
            Action::FailCommit => {
                let faults = [Fault::Refused, Fault::UnknownLost, Fault::UnknownWritten];
                let fault = *world.dice.pick(&faults)?;
                world.cloud.database.fail_next(fault);
                format!("{fault:?}")
            }
            Action::DatabaseAway => {
                world.cloud.database.set_away(true);
                self.later(world, Return::Database);
                String::new()
            }
            Action::TakeCopy => {
                world.copies.push(world.cloud.database.copy());
                format!("of {}", world.cloud.database.head())
            }
            Action::PutBack => return self.put_back(world).await.map(|what| (action, what)),
            Action::RemoveNode => {
                let host = self.host(world)?;
                world.remove_node(host).await;
                format!("of host {host}")
            }
            Action::GiveToken => {
                let host = world.dice.below(world.hosts.len());
                let node = world.node_of(host).map(|node| node.id);
                let out = world.hosts[host]
                    .identity()
                    .is_none_or(|identity| identity.is_removed());
                if !out {
                    return None;
                }
                world.give_token(host, node).await;
                format!("to host {host}")
            }
            Action::FailDisk => {
                let host = self.host(world)?;
                let (files, times) = (&world.hosts[host].files, 1 + world.dice.below(3));
                match world.dice.below(3) {
                    0 => files.fail_syncs(times),
                    1 => files.fail_appends(times),
                    _ => files.fail_replaces(times),
                }
                format!("of host {host}, {times} times")
            }
            Action::LoseRoutes => {
                let (host, told) = (world.dice.below(world.hosts.len()), world.dice.once_in(2));
                let lost = lose_routes(&world.hosts[host], &world.dice, told);
                format!("{lost} of host {host}, told: {told}")
            }
            Action::ForwardingOff => {
                let host = world.dice.below(world.hosts.len());
                let kernel = &world.hosts[host].kernel;
                kernel.state.lock().seen.sysctls.insert(Sysctl::ForwardV4, false);
                kernel.tell(&Event::ForwardingOff.into());
                format!("of host {host}")
            }
            Action::CopyDisk => return self.copy_disk(world).await.map(|what| (action, what)),
            Action::Admit => {
                let found = world.control()?.read(|view| {
                    let found = view.nodes_of(world.cluster).find(|node| node.found.is_some());
                    found.map(|node| node.id)
                });
                world.ask(Command::AdmitNode(found?)).await;
                String::new()
            }
        };
        Some((action, what))
    }

    /// A machine is made anew from the image of one that runs as a node.
    async fn copy_disk(&mut self, world: &mut World) -> Option<String> {
        let (from, to) = (world.dice.below(world.hosts.len()), self.host(world)?);
        let involved = |host| {
            world
                .copied
                .iter()
                .any(|(copy, original)| [*copy, *original].contains(&host))
        };
        if from == to || involved(from) || involved(to) || !has_heard_all(world, from) {
            return None;
        }
        let image = world.hosts[from].files.copy();
        world.pods.copied(from, to);
        world.copied.push((to, from));
        world.ever_copied.extend([from, to]);
        world.hosts[to].become_copy_of(image).await;
        self.returns
            .retain(|(_, what)| !matches!(what, Return::Agent(host) if *host == to));
        self.returns.push((Instant::now(), Return::Agent(to)));
        Some(format!("of host {from} becomes that of host {to}"))
    }

    /// An older copy takes the database's place, while one agent that has heard of every lease runs on.
    async fn put_back(&mut self, world: &mut World) -> Option<String> {
        let copy = world.dice.pick(&world.copies)?.clone();
        let witness = (0..world.hosts.len()).find(|host| has_heard_all(world, *host))?;
        let head = world.cloud.database.head();
        if world.dice.once_in(2) {
            for number in 0..world.servers.len() {
                world.kill_server(number).await;
                self.returns.push((Instant::now(), Return::Server(number)));
            }
        }
        world.cloud.database.put_back(copy);
        world.put_back = true;
        self.witness = Some((witness, Instant::now() + WITNESS));
        self.returns.retain(|(_, what)| !matches!(what, Return::Server(_)));
        for number in 0..world.servers.len() {
            self.returns.push((Instant::now(), Return::Server(number)));
        }
        Some(format!(
            "{} in the place of {head}, host {witness} has heard all",
            world.cloud.database.head()
        ))
    }
}

/// Whether a host's agent runs, can be reached, and has everything that was committed.
fn has_heard_all(world: &World, host: usize) -> bool {
    let at = &world.hosts[host];
    let Some(identity) = at.identity() else { return false };
    let heard = || {
        let control = world.control()?;
        let (status, wanted, head) = control.read(|view| {
            let status = view.node_status(identity.node()).cloned();
            (status, view.cluster_revision(world.cluster), view.head())
        });
        let status = status?;
        Some(head == world.cloud.database.head() && status.online && status.applied_revision >= wanted)
    };
    at.runs() && !identity.is_removed() && world.network.is_reachable(at.address) && heard() == Some(true)
}

/// Something takes routes of ours out of a host's kernel, which tells of it or not; how many.
fn lose_routes(host: &Host, dice: &Dice, told: bool) -> usize {
    let mut state = host.kernel.state.lock();
    let all: Vec<RouteKey> = state.seen.routes.keys().copied().collect();
    let some = dice.below(3);
    let lost: Vec<RouteKey> = all.into_iter().filter(|_| some == 0 || dice.once_in(3)).collect();
    lost.iter().for_each(|key| drop(state.seen.routes.remove(key)));
    drop(state);
    if told {
        for key in &lost {
            let event = Event::Route {
                table: key.table,
                prefix: key.prefix,
                protocol: ROUTE_PROTOCOL,
            };
            host.kernel.tell(&event.into());
        }
    }
    lost.len()
}

fn heal_disk(host: &Host) {
    host.files.fail_syncs(0);
    host.files.fail_appends(0);
    host.files.fail_replaces(0);
}
