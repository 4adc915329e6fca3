//! Two control planes on one database, and hosts; and the administrator of both.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_control::control::Control;
use portolan_core::command::{Command, Delete, NewCluster, NewNetwork, NewSubnet, Outcome, Request};
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{Cluster, JoinToken, Network as CloudNetwork, Node, Project, Stored};
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::ids::{BlockId, ClusterId, NodeId, ProjectId};
use portolan_shared::v1::CreateCluster;
use tokio::time::{Instant, timeout};

use crate::database::Copy;
use crate::dice::Dice;
use crate::host::Host;
use crate::network::Network;
use crate::paths::Paths;
use crate::runtime::Pods;
use crate::server::{Cloud, Server};
use crate::time::MachineClock;

/// How long an administrator waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Control planes.
    pub servers: usize,
    /// Hosts.
    pub hosts: usize,
    /// Things that happen.
    pub steps: usize,
    /// Addresses of nodes.
    pub node_range: &'static str,
    /// Addresses of pods: a seed has one of these.
    pub pod_ranges: [&'static str; 3],
}

/// Everything there is.
pub struct World {
    /// What the seed decides.
    pub dice: Dice,
    /// What the control planes share.
    pub cloud: Cloud,
    /// The control planes; `None` is one that is down.
    pub servers: Vec<Option<Server>>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The way between them.
    pub network: Network,
    /// The paths that agents prove by packets, if they do.
    pub paths: Option<Paths>,
    /// What runs on the hosts.
    pub pods: Pods,
    /// The cluster of all hosts.
    pub cluster: ClusterId,
    /// Copies of the database that were taken.
    pub copies: Vec<Copy>,
    /// Hosts whose disk is a copy of another's, with that other.
    pub copied: Vec<(usize, usize)>,
    /// Hosts whose disk was copied at any time, and those with the copies.
    pub ever_copied: BTreeSet<usize>,
    /// Whether a copy has taken the database's place at any time.
    pub put_back: bool,
}

impl World {
    /// A world with its control planes up, and hosts that have not joined. In one seed of ten agents prove paths by
    /// packets, which costs more than all the rest.
    ///
    /// # Errors
    /// If it cannot be set up.
    pub async fn new(seed: u64, dice: Dice, size: Size) -> Result<Self, String> {
        let begun = Instant::now();
        let network = Network::new(dice.clone());
        let cloud = Cloud::new(network.clone(), MachineClock::right(begun), dice.clone());
        let mut servers = Vec::new();
        for number in 0..size.servers {
            servers.push(Some(Server::start(number, &cloud)?));
        }
        let pods = Pods::default();
        let paths = seed.is_multiple_of(10).then(|| Paths::new(network.clone()));
        let clock = || MachineClock::right(begun);
        let host = |number| Host::new(number, &network, paths.as_ref(), clock(), &dice, &pods);
        let hosts = (0..size.hosts).map(host).collect();
        let mut world = Self {
            dice: dice.clone(),
            cloud,
            servers,
            hosts,
            network,
            paths,
            pods,
            cluster: ClusterId::from_bytes([0; 16]),
            copies: Vec::new(),
            copied: Vec::new(),
            ever_copied: BTreeSet::new(),
            put_back: false,
        };
        let range = usize::try_from(seed % 3).unwrap_or(0);
        let set_up = world.set_up(size.node_range, size.pod_ranges[range]).await;
        world.cluster = set_up.ok_or("the cluster could not be made")?;
        Ok(world)
    }

    /// A control plane that is up.
    pub fn control(&self) -> Option<&Control> {
        let up = self.servers.iter().flatten();
        up.map(|server| &server.control).find(|control| control.lives())
    }

    /// Asks a control plane that is up; `None` if it refuses or does not answer.
    pub async fn ask(&self, command: Command) -> Option<Outcome> {
        let control = self.control()?;
        let answer = timeout(PATIENCE, control.write(Request::system(command))).await;
        match answer.ok()? {
            Ok(outcome) => Some(outcome),
            Err(refusal) => {
                tracing::debug!(?refusal, "refused");
                None
            }
        }
    }

    async fn made<K: Stored>(&self, command: Command) -> Option<Arc<K>> {
        self.ask(command).await?.made()
    }

    async fn project(&self, name: &str) -> Option<ProjectId> {
        let project = Command::CreateProject {
            name: name.to_owned(),
            description: String::new(),
        };
        Some(self.made::<Project>(project).await?.id)
    }

    async fn set_up(&self, node_range: &str, pod_range: &str) -> Option<ClusterId> {
        let provider = self.project("admin").await?;
        let network = NewNetwork {
            project: provider,
            name: "internet".to_owned(),
            description: String::new(),
            admin_state_up: true,
            mtu: 1500,
            port_security_enabled: false,
            dns_domain: String::new(),
            internet_access: false,
            external: true,
            shadow_port: false,
        };
        let network = self
            .made::<CloudNetwork>(Command::CreateNetworks(vec![network]))
            .await?
            .id;
        let input = SubnetInput {
            cidr: "203.0.113.0/24".to_owned(),
            ..SubnetInput::default()
        };
        let subnet = NewSubnet {
            project: provider,
            network,
            spec: check::subnet(&input).ok()?,
        };
        self.ask(Command::CreateSubnets(vec![subnet])).await?;
        let asked = CreateCluster {
            name: "shop".to_owned(),
            node_range: Some(node_range.to_owned()),
            pod_range: Some(pod_range.to_owned()),
            service_range: Some("10.2.0.0/20".to_owned()),
            ..CreateCluster::default()
        };
        let cluster = NewCluster {
            project: self.project("shop").await?,
            spec: portolan_shared::cluster::check(&asked).ok()?,
        };
        Some(self.made::<Cluster>(Command::CreateCluster(cluster)).await?.id)
    }

    /// Gives a host a token: for a node, or for a new one.
    pub async fn give_token(&self, host: usize, node: Option<NodeId>) {
        let Some(server) = self.servers.iter().flatten().find(|server| server.control.lives()) else {
            return;
        };
        let (command, secret) = server.tokens.issue(self.cluster, node, server.control.now());
        if let Some(token) = self.made::<JoinToken>(command).await {
            self.hosts[host].give_token(&server.tokens.text(&token, &secret));
        }
    }

    /// The node that has a host's name.
    pub fn node_of(&self, host: usize) -> Option<Arc<Node>> {
        let name = self.hosts[host].name();
        self.control()?
            .read(|view| view.nodes_of(self.cluster).find(|node| node.name == name).cloned())
    }

    /// Removes the node that has a host's name.
    pub async fn remove_node(&self, host: usize) {
        if let Some(node) = self.node_of(host) {
            self.ask(Command::Delete(Delete::Node(node.id))).await;
        }
    }

    /// Starts a control plane that is down.
    pub fn start_server(&mut self, number: usize) {
        if self.servers[number].is_none() {
            match Server::start(number, &self.cloud) {
                Ok(server) => self.servers[number] = Some(server),
                Err(error) => tracing::info!(number, error, "a control plane does not start"),
            }
        }
    }

    /// Kills a control plane.
    pub async fn kill_server(&mut self, number: usize) {
        if let Some(server) = self.servers[number].take() {
            server.kill().await;
        }
    }

    /// What an administrator does who looks at the cluster: starts what is down, decides about nodes, and gives hosts that
    /// are out a token.
    pub async fn look_after(&mut self) {
        for number in 0..self.servers.len() {
            self.start_server(number);
        }
        self.decide_about_copies().await;
        self.decide_about_nodes().await;
        self.state_which_machines_are_off().await;
        self.say_where_hosts_are().await;
        for number in 0..self.hosts.len() {
            if let Err(error) = self.hosts[number].start() {
                tracing::info!(number, error, "an agent does not start");
            }
            let host = &self.hosts[number];
            // What the console shows: no node is this host's.
            let out = host.node().is_none_or(|id| {
                self.control()
                    .is_some_and(|control| control.read(|view| view.node(id).is_none()))
            });
            if out {
                let node = self.node_of(number).map(|node| node.id);
                self.give_token(number, node).await;
            }
        }
    }

    /// A copy is turned off and made to forget what it was; then the machine it was copied from is admitted.
    async fn decide_about_copies(&mut self) {
        let copied: Vec<NodeId> = self.control().map_or_else(Vec::new, |control| {
            control.read(|view| {
                let nodes = view.nodes_of(self.cluster);
                let copied = |node: &&Arc<Node>| view.node_status(node.id).is_some_and(|s| s.copied.is_some());
                nodes.filter(copied).map(|node| node.id).collect()
            })
        });
        for node in copied {
            self.ask(Command::AdmitNode(node)).await;
        }
        for (copy, original) in std::mem::take(&mut self.copied) {
            // Its pods have addresses of the other's blocks.
            self.hosts[copy].drain();
            if let Err(error) = self.hosts[copy].rejoin().await {
                tracing::info!(copy, error, "a copy does not forget what it was");
            }
            tracing::info!(copy, original, "a copy is one no more");
        }
    }

    /// A node whose host has another address gets it.
    async fn say_where_hosts_are(&self) {
        for host in &self.hosts {
            let known = |node: NodeId| self.control()?.read(|view| Some(view.node(node)?.addresses.clone()));
            if let Some(node) = host.node()
                && known(node).is_some_and(|addresses| !addresses.contains(&host.address))
            {
                let address = host.address;
                self.ask(Command::RelocateNode { node, address }).await;
            }
        }
    }

    /// A machine that held blocks and that no host is any more was made anew, as another's copy.
    async fn state_which_machines_are_off(&self) {
        let Some(control) = self.control() else { return };
        let here: Vec<NodeId> = self.hosts.iter().filter_map(Host::node).collect();
        let used: Vec<IpAddr> = self
            .pods
            .live()
            .into_iter()
            .flat_map(|(_, addresses)| addresses)
            .collect();
        let off: Vec<BlockId> = control.read(|view| {
            let held = view.of::<QuarantinedBlock>(self.cluster);
            let off = held.filter(|held| !here.contains(&held.node) && !used.iter().any(|at| held.cidr.contains(*at)));
            off.map(|held| held.id).collect()
        });
        for block in off {
            self.ask(Command::ReleaseBlock(block)).await;
        }
    }

    /// A node that was found is admitted if a host is it. One that no host is, is removed: its host has become another.
    async fn decide_about_nodes(&self) {
        let Some(control) = self.control() else { return };
        let nodes: Vec<Arc<Node>> = control.read(|view| view.nodes_of(self.cluster).cloned().collect());
        let here: Vec<NodeId> = self.hosts.iter().filter_map(Host::node).collect();
        for node in nodes {
            if !here.contains(&node.id) {
                self.ask(Command::Delete(Delete::Node(node.id))).await;
            } else if node.found.is_some() {
                self.ask(Command::AdmitNode(node.id)).await;
            }
        }
    }
}
