//! The lab's hosts and what they are plugged into: namespaces, links, agents. What is to be made is said by others; how
//! it is made and taken away again is here.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use portolan_shared::ids::NetworkId;
use rustix::process::{Pid, Signal, kill_process};

use super::pods::Pod;
use super::{END_WITHIN, LabError, at};
use crate::binaries::Binaries;
use crate::children::{ChildError, Running};
use crate::names::LabId;
use crate::netns::{self, Namespace};
use crate::plan::{Cluster, HostKey, Node, smallest_free};
use crate::{ip, protocol, topology};

/// A host whose namespace and links are there.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) key: HostKey,
    cluster: protocol::Cluster,
    number: usize,
    network: NetworkId,
    pub(super) namespace: Namespace,
    address: IpAddr,
    pub(super) socket: PathBuf,
    disk: PathBuf,
    pub(super) agent: Option<Running>,
}

impl Host {
    /// What a person calls it.
    pub(super) fn called(&self) -> String {
        format!("host {} of {}", self.key.name, self.cluster.name)
    }
}

/// All hosts of the lab, of whichever cluster, and the pods on them.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) lab: LabId,
    pub(super) binaries: Binaries,
    /// The lab's own folder in `/run`: sockets have short paths.
    sockets: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) all: Vec<Host>,
    bridges: BTreeMap<NetworkId, usize>,
    pub(super) pods: Vec<Pod>,
    pub(super) sandboxes: u64,
}

impl Hosts {
    /// None yet.
    pub(super) fn new(lab: LabId, binaries: Binaries, sockets: PathBuf, logs: PathBuf) -> Self {
        Self {
            lab,
            binaries,
            sockets,
            logs,
            all: Vec::new(),
            bridges: BTreeMap::new(),
            pods: Vec::new(),
            sandboxes: 0,
        }
    }

    /// Makes what all hosts are plugged into: the switch and the provider's service network.
    pub(super) fn lay(&self) -> Result<(), LabError> {
        let both = [self.lab.switch(), self.lab.provider()];
        ip::batch(None, &both.each_ref().map(topology::namespace))?;
        ip::batch(Some(&self.lab.switch()), &topology::trunk(&self.lab))?;
        Ok(ip::batch(Some(&self.lab.provider()), &topology::provider())?)
    }

    /// Opens the agents' endpoint in the provider's namespace.
    pub(super) fn endpoint(&self) -> Result<TcpListener, LabError> {
        let endpoint = (topology::ENDPOINT, topology::ENDPOINT_PORT);
        let bound = self.lab.provider().within(|| TcpListener::bind(endpoint));
        let [address, port] = [endpoint.0.to_string(), endpoint.1.to_string()];
        bound
            .and_then(|bound| bound)
            .map_err(at(format!("listen on {address}:{port}")))
    }

    /// The place of a host among all.
    pub(super) fn find(&self, key: &HostKey) -> Option<usize> {
        self.all.iter().position(|host| host.key == *key)
    }

    /// Makes a host's namespace and links, unless they are there. On an error nothing is left of them.
    pub(super) fn plug(&mut self, cluster: &Cluster, node: &Node, disk: PathBuf) -> Result<usize, LabError> {
        let key = HostKey {
            cluster: cluster.id,
            name: node.name.clone(),
        };
        if let Some(index) = self.find(&key) {
            return Ok(index);
        }
        let number = smallest_free(self.all.iter().map(|host| host.number));
        if number >= topology::MAX_HOSTS {
            return Err(LabError::Request(format!(
                "a lab has at most {} hosts",
                topology::MAX_HOSTS
            )));
        }
        self.all.push(Host {
            namespace: self.lab.host(number, &cluster.name, &node.name),
            key,
            cluster: protocol::Cluster {
                id: cluster.id.to_string(),
                name: cluster.name.clone(),
                project_id: cluster.project.to_string(),
            },
            number,
            network: cluster.network,
            address: node.address,
            socket: self.sockets.join(format!("cni{number}.sock")),
            disk,
            agent: None,
        });
        let index = self.all.len() - 1;
        self.wire(index, cluster).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = self.unplug(index);
        })?;
        Ok(index)
    }

    fn wire(&mut self, index: usize, cluster: &Cluster) -> Result<(), LabError> {
        let bridge = self.bridge(cluster.network)?;
        let host = &self.all[index];
        ip::batch(None, &[topology::namespace(&host.namespace)])?;
        let cables = topology::cables(host.number, &host.namespace, bridge, cluster.mtu);
        ip::batch(Some(&self.lab.switch()), &cables)?;
        let inside = topology::host(host.number, host.address, cluster.prefix, cluster.mtu);
        Ok(ip::batch(Some(&host.namespace), &inside)?)
    }

    /// The number of a tenant network's bridge, which is made for its first host.
    fn bridge(&mut self, network: NetworkId) -> Result<usize, LabError> {
        if let Some(number) = self.bridges.get(&network) {
            return Ok(*number);
        }
        let number = smallest_free(self.bridges.values().copied());
        ip::batch(Some(&self.lab.switch()), &topology::bridge(number))?;
        self.bridges.insert(network, number);
        Ok(number)
    }

    /// Takes a host away, with its pods and whatever runs in it, and its network's bridge with the last host there. May
    /// be repeated when it failed.
    pub(super) fn unplug(&mut self, index: usize) -> Result<(), LabError> {
        let deadline = Instant::now() + END_WITHIN;
        let host = &mut self.all[index];
        for pod in self.pods.extract_if(.., |pod| pod.host == host.key) {
            pod.end(deadline)?;
        }
        if let Some(mut agent) = host.agent.take() {
            agent.signal(Signal::KILL);
            agent.finish(deadline);
        }
        kill_all_in(&host.namespace).map_err(at(host.namespace.name()))?;
        let switch = self.lab.switch();
        ip::undo(&switch, &topology::no_cables(host.number))?;
        let probes = self.lab.probes(host.number);
        for namespace in [&probes, &host.namespace] {
            namespace.remove().map_err(at(namespace.name()))?;
        }
        match fs::remove_file(&host.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(host.socket.display().to_string())(error));
            }
            _ => {}
        }
        let network = host.network;
        self.all.remove(index);
        if self.all.iter().all(|host| host.network != network)
            && let Some(bridge) = self.bridges.remove(&network)
        {
            ip::undo(&switch, &topology::no_bridge(bridge))?;
        }
        Ok(())
    }

    /// Starts a host's agent; it joins by the token in that file, if it has not joined.
    pub(super) fn start_agent(&mut self, index: usize, token: &std::path::Path) -> Result<(), LabError> {
        let host = &mut self.all[index];
        let mut command = Command::new(&self.binaries.agent);
        command
            .arg("run")
            .arg("--state-dir")
            .arg(&host.disk)
            .arg("--cni-socket")
            .arg(&host.socket)
            .arg("--probe-netns")
            .arg(self.lab.probes(host.number).path())
            .args(["--name", &host.key.name, "--address", &host.address.to_string()])
            .arg("--join-token-file")
            .arg(token);
        let name = format!("the agent of {} in {}", host.key.name, host.cluster.name);
        let log = host.disk.join("agent.log");
        host.agent = Some(Running::start(&name, command, Some(&host.namespace), log)?);
        Ok(())
    }

    /// Agents that ended by themselves, with how; they are then not running.
    pub(super) fn ended(&mut self) -> Vec<(HostKey, ChildError)> {
        let mut ended = Vec::new();
        for host in &mut self.all {
            if let Some(Err(error)) = host.agent.as_mut().map(Running::alive) {
                host.agent = None;
                ended.push((host.key.clone(), error));
            }
        }
        ended
    }

    /// All hosts, as the lab's answers show them.
    pub(super) fn report(&self) -> Vec<protocol::Host> {
        let shown = self.all.iter().map(|host| protocol::Host {
            name: host.key.name.clone(),
            cluster: host.cluster.clone(),
            namespace: host.namespace.name().to_owned(),
            address: host.address,
            agent: host.agent.as_ref().map(Running::pid),
            cni_socket: host.socket.clone(),
        });
        shown.collect()
    }
}

/// Kills what still runs in a namespace, such as a command that somebody executes there.
fn kill_all_in(namespace: &Namespace) -> io::Result<()> {
    for pid in netns::processes_in(std::slice::from_ref(namespace))? {
        if let Some(pid) = Pid::from_raw(pid) {
            // Gone already is what we want.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}
