//! What container runtimes do on the hosts: pods are added by CNI, and deleted until the deletion is answered.
//!
//! It keeps the ground truth: which pods run, and with which addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_agent::kernel::fake::FakeKernel;
use portolan_cni_protocol::is_error;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::network::HostNet;

/// The agents' socket.
pub const SOCKET: &str = "/run/cni.sock";

/// How long a runtime waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it waits before it asks again.
const AGAIN: Duration = Duration::from_secs(2);

/// A pod, by its host's number and its own there.
pub type PodId = (usize, u32);

/// Where a pod stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It has no address yet, as far as the runtime was told.
    Adding,
    /// It runs with these.
    Live(Vec<IpAddr>),
    /// It runs no more, and its addresses are being given back.
    Ending,
}

/// The pods of all hosts.
#[derive(Clone, Default)]
pub struct Pods(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    phases: BTreeMap<PodId, Phase>,
    next: u32,
    /// How many were added.
    added: u32,
    /// Hosts of which one is a copy of the other: both may give an address before they have heard so.
    copies: Vec<(usize, usize)>,
    wrong: Vec<String>,
}

impl Pods {
    /// Pods that run, with their addresses.
    pub fn live(&self) -> Vec<(PodId, Vec<IpAddr>)> {
        let book = self.0.lock();
        let live = book.phases.iter().filter_map(|(id, phase)| match phase {
            Phase::Live(addresses) => Some((*id, addresses.clone())),
            Phase::Adding | Phase::Ending => None,
        });
        live.collect()
    }

    /// Whether a runtime still waits for an answer.
    pub fn busy(&self) -> bool {
        self.0
            .lock()
            .phases
            .values()
            .any(|phase| !matches!(phase, Phase::Live(_)))
    }

    /// How many pods were added in all.
    pub fn added(&self) -> u32 {
        self.0.lock().added
    }

    /// What went wrong, if anything did.
    pub fn wrong(&self) -> Option<String> {
        self.0.lock().wrong.first().cloned()
    }

    /// A number for a new pod on a host.
    pub fn begin(&self, host: usize) -> PodId {
        let mut book = self.0.lock();
        book.next += 1;
        let id = (host, book.next);
        book.phases.insert(id, Phase::Adding);
        id
    }

    /// The power of a host went: none of its pods runs any more.
    pub fn lose(&self, host: usize) {
        self.0.lock().phases.retain(|(at, _), _| *at != host);
    }

    /// From now on one host is a copy of the other.
    pub fn copied(&self, from: usize, to: usize) {
        self.0.lock().copies.push((from, to));
    }

    fn came(&self, pod: PodId, addresses: Vec<IpAddr>) {
        let mut book = self.0.lock();
        for (other, phase) in &book.phases {
            let Phase::Live(theirs) = phase else { continue };
            if book.copies.contains(&(pod.0, other.0)) || book.copies.contains(&(other.0, pod.0)) {
                continue;
            }
            if let Some(twice) = addresses.iter().find(|address| theirs.contains(address)) {
                let wrong = format!("{twice} was given to {pod:?} while {other:?} has it");
                book.wrong.push(wrong);
                break;
            }
        }
        book.added += 1;
        book.phases.insert(pod, Phase::Live(addresses));
    }

    fn set(&self, pod: PodId, phase: Phase) {
        self.0.lock().phases.insert(pod, phase);
    }

    fn gone(&self, pod: PodId) {
        self.0.lock().phases.remove(&pod);
    }
}

/// What a runtime works with on its host.
#[derive(Clone)]
pub struct Runtime {
    /// The way to the agent's socket.
    pub net: Arc<HostNet>,
    /// The host's kernel.
    pub kernel: Arc<FakeKernel>,
    /// Where what is true is kept.
    pub pods: Pods,
}

impl Runtime {
    /// A pod's life, until `end` says so.
    pub async fn live(self, pod: PodId, mut end: watch::Receiver<bool>) {
        let netns = netns(pod);
        let inode = u64::from(pod.1) + 1000;
        self.kernel.state.lock().namespaces.insert(netns.clone(), inode);
        if let Some(addresses) = self.add(pod).await {
            self.pods.came(pod, addresses);
            let _ = end.wait_for(|end| *end).await;
        }
        self.pods.set(pod, Phase::Ending);
        while !self.delete(pod).await {
            sleep(AGAIN).await;
        }
        self.kernel.state.lock().namespaces.remove(&netns);
        self.pods.gone(pod);
    }

    async fn add(&self, pod: PodId) -> Option<Vec<IpAddr>> {
        let answer = self.ask("ADD", pod).await?;
        let ips = answer.get("ips")?.as_array()?;
        let address = |ip: &Value| ip.get("address")?.as_str()?.split('/').next()?.parse().ok();
        ips.iter().map(address).collect()
    }

    async fn delete(&self, pod: PodId) -> bool {
        self.ask("DEL", pod).await.is_some()
    }

    /// What the agent answers, unless it is an error or none comes.
    async fn ask(&self, command: &str, pod: PodId) -> Option<Value> {
        let config = json!({"cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni"});
        let request = json!({
            "command": command, "container_id": container(pod), "netns": netns(pod), "ifname": "eth0",
            "args": {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": container(pod)}, "config": config,
        });
        let asked = async {
            let mut stream = self.net.connect_local(Path::new(SOCKET)).ok()?;
            stream.write_all(format!("{request}\n").as_bytes()).await.ok()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok()?;
            if is_error(&answer).ok()? {
                return None;
            }
            serde_json::from_slice(&answer).ok()
        };
        timeout(PATIENCE, asked).await.ok()?
    }
}

/// The runtime's id of a pod's sandbox.
pub fn container(pod: PodId) -> String {
    format!("pod-{}-{}", pod.0, pod.1)
}

/// Where a pod's network namespace is.
pub fn netns(pod: PodId) -> PathBuf {
    format!("/run/netns/{}", container(pod)).into()
}
