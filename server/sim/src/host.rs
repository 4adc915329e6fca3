//! A host: its disk, its kernel, its agent and its pods.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use portolan_agent::agent::{Agent, RunError, forget};
use portolan_agent::desired::State;
use portolan_agent::desired::disk::DesiredFile;
use portolan_agent::identity::Identity;
use portolan_agent::kernel::fake::{self, FakeKernel};
use portolan_agent::machine::{Machine, Sources};
use portolan_agent::options::Run;
use portolan_agent::probes::net::ProbeNet;
use portolan_plan::testing::host as bare_host;
use portolan_shared::ids::NodeId;
use portolan_sources::testing::{MemoryFiles, OnTheSpot};
use portolan_sources::{Files, Workers};
use portolan_wire::agent::{Block, Item, ItemKind};
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::dice::Dice;
use crate::network::{HostNet, Network};
use crate::paths::Paths;
use crate::runtime::{PodId, Pods, Runtime, SOCKET};
use crate::time::MachineClock;

const STATE: &str = "/state";
/// Where the host's administrator puts join tokens.
const TOKEN: &str = "/state/token";

/// A host.
pub struct Host {
    /// Its number.
    pub number: usize,
    /// Its address in the node subnet.
    pub address: IpAddr,
    /// Its disk.
    pub files: MemoryFiles,
    /// Its kernel.
    pub kernel: Arc<FakeKernel>,
    /// Its clock.
    pub clock: MachineClock,
    net: Arc<HostNet>,
    paths: Option<Paths>,
    probes: Option<Arc<dyn ProbeNet>>,
    network: Network,
    dice: Dice,
    pods: Pods,
    agent: Option<JoinHandle<Result<(), RunError>>>,
    /// Its pods' lives, and what ends them.
    lives: BTreeMap<PodId, (JoinHandle<()>, watch::Sender<bool>)>,
}

impl Host {
    /// A host that is up, without an agent; with `paths`, its agent will prove some.
    pub fn new(
        number: usize,
        network: &Network,
        paths: Option<&Paths>,
        clock: MachineClock,
        dice: &Dice,
        pods: &Pods,
    ) -> Self {
        let address = address(number, false);
        let kernel = Arc::new(FakeKernel::new(booted(address)));
        let files = MemoryFiles::default();
        // A disk in memory makes any folder.
        let _ = files.make_folder(Path::new(STATE));
        Self {
            number,
            address,
            files,
            clock,
            net: Arc::new(HostNet::new(network.clone(), address)),
            paths: paths.cloned(),
            probes: paths.map(|paths| paths.add(address, &kernel)),
            kernel,
            network: network.clone(),
            dice: dice.clone(),
            pods: pods.clone(),
            agent: None,
            lives: BTreeMap::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    fn disk(&self) -> Arc<dyn Files> {
        Arc::new(self.files.clone())
    }

    /// Which node it is, by its disk.
    pub fn identity(&self) -> Option<Identity> {
        Identity::load(&self.disk(), Path::new(STATE)).ok().flatten()
    }

    /// The node it is, by its disk.
    pub fn node(&self) -> Option<NodeId> {
        Some(self.identity()?.node())
    }

    /// Gives it a join token.
    pub fn give_token(&self, text: &str) {
        // A full disk takes it the next time.
        let _ = self.files.replace(Path::new(TOKEN), text.as_bytes(), 0o600);
    }

    /// Whether its agent runs.
    pub fn runs(&self) -> bool {
        self.agent.is_some()
    }

    /// Starts the agent, unless it runs.
    ///
    /// # Errors
    /// If the agent does not open its state.
    pub fn start(&mut self) -> Result<(), String> {
        if self.agent.is_some() {
            return Ok(());
        }
        let sources = Sources {
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(self.dice.randomness()),
            files: self.disk(),
            net: self.net.clone(),
            workers: Workers::new(OnTheSpot),
            sync_thread: Arc::new(OnTheSpot),
        };
        let machine = Machine {
            sources,
            kernel: self.kernel.clone(),
            probes: self.probes.clone(),
            host_name: self.name(),
            kernel_release: "6.1".to_owned(),
        };
        let options = Run {
            state_dir: STATE.into(),
            cni_socket: SOCKET.into(),
            probe_netns: "/run/netns/probes".into(),
            join_token_file: Some(TOKEN.into()),
            name: None,
            address: vec![self.address],
        };
        let agent = Agent::open(machine, options, None).map_err(|error| error.to_string())?;
        let run = async move { agent.run(std::future::pending()).await };
        let span = tracing::error_span!("host", number = self.number);
        self.agent = Some(tokio::spawn(run.instrument(span)));
        Ok(())
    }

    /// kill -9 of the agent.
    pub async fn kill(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.abort();
            // It ends as soon as it is polled.
            let _ = agent.await;
        }
        self.network.reset_host(self.address);
    }

    /// Why the agent has ended by itself, if it has. It never should.
    pub async fn ended(&mut self) -> Option<String> {
        if !self.agent.as_ref()?.is_finished() {
            return None;
        }
        let ended = self.agent.take()?.await;
        Some(format!("the agent of {} has ended: {ended:?}", self.name()))
    }

    /// The power goes: agent, pods and kernel are gone, and what was not synced is perhaps.
    pub async fn cut_power(&mut self, extra: usize) {
        self.kill().await;
        for (life, _) in std::mem::take(&mut self.lives).into_values() {
            life.abort();
            // It ends as soon as it is polled.
            let _ = life.await;
        }
        self.pods.lose(self.number);
        self.files.cut_power(extra);
        *self.kernel.state.lock() = booted(self.address);
    }

    /// What its agent keeps lacks a block of another node, as if an agent of before had lost it. None if it keeps none.
    pub fn lose_block(&self) -> Option<()> {
        let own = self.node()?;
        let file = DesiredFile::new(self.disk(), Path::new(STATE));
        let state = file.load().ok()??;
        let mut snapshot = state.to_snapshot();
        let of_another = |item: &Item| {
            let block = (item.kind() == ItemKind::Block).then(|| Block::decode(&item.body[..]).ok());
            block.flatten().is_some_and(|block| block.node_id != own.as_bytes())
        };
        let mut others: Vec<usize> = (0..snapshot.items.len()).collect();
        others.retain(|at| of_another(&snapshot.items[*at]));
        snapshot.items.remove(*self.dice.pick(&others)?);
        let state = State::of_snapshot(*state.store(), state.history().to_vec(), snapshot).ok()?;
        file.save(&state).ok()
    }

    /// Its disk becomes a copy of another host's, as of a machine image.
    pub async fn become_copy_of(&mut self, disk: MemoryFiles) {
        self.cut_power(0).await;
        self.files = disk;
    }

    /// It is up again with another address: its second one, or its first again.
    pub async fn change_address(&mut self, extra: usize) {
        self.cut_power(extra).await;
        self.address = address(self.number, self.address == address(self.number, false));
        self.net = Arc::new(HostNet::new(self.network.clone(), self.address));
        *self.kernel.state.lock() = booted(self.address);
        if let Some(paths) = &self.paths {
            paths.moved(self.number, self.address);
        }
    }

    /// Its administrator makes it forget which node it was.
    ///
    /// # Errors
    /// If the disk does not do it.
    pub async fn rejoin(&mut self) -> Result<(), String> {
        self.kill().await;
        forget(&self.disk(), Path::new(STATE)).map_err(|error| error.to_string())
    }

    /// A pod is started.
    pub fn add_pod(&mut self) {
        self.lives.retain(|_, (life, _)| !life.is_finished());
        let pod = self.pods.begin(self.number);
        let runtime = Runtime {
            net: Arc::clone(&self.net),
            kernel: Arc::clone(&self.kernel),
            pods: self.pods.clone(),
        };
        let (end, ended) = watch::channel(false);
        let life = tokio::spawn(runtime.live(pod, ended));
        self.lives.insert(pod, (life, end));
    }

    /// All its pods end, as when it is drained.
    pub fn drain(&self) {
        for (_, end) in self.lives.values() {
            end.send_replace(true);
        }
    }

    /// A pod ends.
    pub fn end_pod(&self, pod: PodId) {
        if let Some((_, end)) = self.lives.get(&pod) {
            end.send_replace(true);
        }
    }
}

/// The first or second address of the host with this number in the node subnet.
fn address(number: usize, second: bool) -> IpAddr {
    let first = u32::from(Ipv4Addr::new(10, 0, u8::from(second) * 2, 11));
    Ipv4Addr::from(first + u32::try_from(number).unwrap_or(0)).into()
}

/// A kernel right after a boot.
fn booted(address: IpAddr) -> fake::State {
    let mut seen = bare_host();
    let eth0 = seen.links.get("eth0").map_or(0, |link| link.index);
    seen.addresses = BTreeMap::from([(address, eth0)]);
    fake::State {
        seen,
        ..fake::State::default()
    }
}
