//! A host that is not the lab's: somebody joins it, and its pods are not the lab's either. The lab clears it up by its name.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use portolan_lab::children::Running;
use portolan_lab::cni::{Plugin, Sandbox};
use portolan_lab::netns::Namespace;
use portolan_lab::{echo, ip, topology};
use portolan_shared::ids::NodeId;
use portolan_shared::v1::JoinToken;
use rustix::process::Signal;
use serde_json::json;

use crate::common::{IN_TIME, Lab, PROGRAM, ask_from, beside};
use crate::demo::{Demo, becomes};

/// A host, its agent and a pod.
pub(super) struct Guest {
    pub(super) node: NodeId,
    pub(super) host: Namespace,
    pub(super) pod: Namespace,
    pub(super) address: IpAddr,
    programs: Vec<Running>,
}

impl Guest {
    /// Joins a host of that name to the demo's cluster, and makes a pod on it. `number` is no other host's.
    pub(super) fn join(lab: &Lab, demo: &Demo, name: &str, number: usize) -> Self {
        let token = demo.log_in("demo").unwrap();
        let path = format!("{}/nodes", demo.cluster());
        let made: JoinToken = demo.api.write(&path, &token, &json!({ "name": name })).unwrap();
        let node = made.node.unwrap();
        let namespace = |what: &str| Namespace::named(format!("{}{what}-{name}", lab.prefix()));
        let (host, probes, pod) = (namespace("host"), namespace("probes"), namespace("pod"));
        let switch = Namespace::named(format!("{}switch", lab.prefix()));
        ip::batch(None, &[&host, &pod].map(topology::namespace)).unwrap();
        // The first bridge is that of the demo's network.
        ip::batch(Some(&switch), &topology::cables(number, &host, 0, made.mtu)).unwrap();
        let inside = topology::host(number, node.addresses[0], made.prefix.unwrap(), made.mtu);
        ip::batch(Some(&host), &inside).unwrap();

        let disk = lab.state.path().join(name);
        fs::create_dir(&disk).unwrap();
        let (token, socket) = (disk.join("join.token"), socket(lab, name));
        fs::write(&token, made.token).unwrap();
        let mut agent = Command::new(beside("portolan-agent"));
        agent.arg("run").arg("--state-dir").arg(disk.join("state"));
        agent.arg("--cni-socket").arg(&socket);
        agent.arg("--probe-netns").arg(probes.path());
        agent.args(["--name", name, "--address", &node.addresses[0].to_string()]);
        agent.arg("--join-token-file").arg(token);
        let mut agent = Running::start(name, agent, Some(&host), disk.join("agent.log")).unwrap();
        becomes("its agent listens", || {
            agent.alive().unwrap();
            socket.exists()
        });

        ip::batch(Some(&pod), &["link set lo up".into()]).unwrap();
        let plugin = Plugin {
            program: &beside("portolan-cni"),
            host: &host,
            socket: &socket,
        };
        let sandbox = Sandbox {
            container_id: format!("{}-{name}", lab.report.name),
            namespace: pod.clone(),
            pod: format!("pod-{name}"),
        };
        let address = plugin.add(&sandbox).unwrap();
        let mut program = Command::new(PROGRAM);
        program.args(["echo", "--name", name]);
        let program = Running::start(name, program, Some(&pod), disk.join("pod.log")).unwrap();
        let guest = Self {
            node: node.id,
            host,
            pod,
            address,
            programs: vec![agent, program],
        };
        becomes("its pod answers", || {
            let here = SocketAddr::from(([127, 0, 0, 1], echo::PORT));
            guest.pod.within(|| echo::ask(here, IN_TIME)).unwrap().is_ok()
        });
        guest
    }

    /// Where its pod answers.
    pub(super) fn echo(&self) -> SocketAddr {
        SocketAddr::new(self.address, echo::PORT)
    }

    /// Who answers there, and as whom it sees a pod that asks.
    pub(super) fn asked_from(&self, namespace: &str) -> IpAddr {
        ask_from(namespace, self.echo()).0
    }
}

/// Sockets have short paths.
fn socket(lab: &Lab, name: &str) -> PathBuf {
    portolan_lab::runtime::root()
        .join(&lab.report.name)
        .join(format!("{name}.sock"))
}

impl Drop for Guest {
    fn drop(&mut self) {
        for program in &mut self.programs {
            program.signal(Signal::KILL);
            program.finish(std::time::Instant::now() + IN_TIME);
        }
    }
}
