//! A control plane with its agent endpoint, on a folder of the test's own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use portolan_core::command::{Command, NewCluster, NewNetwork, NewSubnet, Outcome, Request};
use portolan_core::model::{Block, Key, Micros, Node, NodeStatus, Object, Revision};
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::ids::{ClusterId, NodeId, ProjectId};
use portolan_shared::v1::CreateCluster;
use portolan_sources::testing::SetClock;
use portolan_sources::{Clock, SystemClock};
use portolan_wire::token::JoinToken;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::control::{Control, OpenOptions};
use crate::machine::Sources;
use crate::nodes::hub::Hub;
use crate::nodes::{Endpoint, Listen, Options, Tokens};

/// How long a test waits for what must happen, on a machine as busy as may be.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that stands, from when it was made on, but for its hands: how long a busy machine takes is no part of what a
/// test sees.
#[derive(Debug)]
pub(super) struct Hands(AtomicI64);

impl Default for Hands {
    fn default() -> Self {
        Self(AtomicI64::new(SystemClock.now()))
    }
}

impl Hands {
    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Micros {
        self.0.load(Ordering::SeqCst)
    }
}

pub(super) struct World {
    pub(super) control: Control,
    pub(super) clock: Arc<Hands>,
    /// What spans are measured by. It stands.
    pub(super) watch: SetClock,
    pub(super) tokens: Tokens,
    pub(super) address: std::net::SocketAddr,
    pub(super) folder: Arc<TempDir>,
    pub(super) hub: Arc<Hub>,
    serving: JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), Arc::default())
    }

    fn on(folder: Arc<TempDir>, clock: Arc<Hands>) -> Self {
        let database = folder.path().join("portolan.db");
        let watch = SetClock::default();
        let sources = Sources {
            clock: Arc::<Hands>::clone(&clock),
            stopwatch: Arc::new(watch.clone()),
            ..Sources::system()
        };
        let options = OpenOptions::new(format!("sqlite:{}", database.display()), sources.clone());
        let control = Control::open(options).unwrap();
        // Clients of the tests connect to where it really listens; the name is what is verified.
        let options = Options {
            listen: Listen::Address(([127, 0, 0, 1], 0).into()),
            advertise: "127.0.0.1:7443".to_owned(),
            ca_key: folder.path().join("portolan.db.ca.key"),
            first: Vec::new(),
        };
        let endpoint = Endpoint::open(control.clone(), &options, &sources).unwrap();
        let (tokens, address, hub) = (endpoint.tokens(), endpoint.local_addr(), Arc::clone(&endpoint.hub));
        let (end, ended) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let shutdown = async { drop(ended.await) };
            endpoint.serve(shutdown).await.unwrap();
        });
        Self {
            control,
            clock,
            watch,
            tokens,
            address,
            folder,
            hub,
            serving,
            end: Some(end),
        }
    }

    /// Ends the control plane and starts it again on the same database.
    pub(super) async fn restart(mut self) -> Self {
        self.stop().await;
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        drop(self);
        Self::on(folder, clock)
    }

    /// Ends the control plane, and keeps a copy of its database as it is then; then starts it again.
    pub(super) async fn backed_up(mut self) -> (Self, Vec<u8>) {
        self.stop().await;
        let copy = std::fs::read(self.folder.path().join("portolan.db")).unwrap();
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        drop(self);
        (Self::on(folder, clock), copy)
    }

    /// Ends the control plane, puts a copy in its database's place, and starts it again.
    pub(super) async fn put_back(mut self, copy: &[u8]) -> Self {
        self.stop().await;
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        drop(self);
        let database = folder.path().join("portolan.db");
        for suffix in ["-wal", "-shm"] {
            let mut beside = database.clone().into_os_string();
            beside.push(suffix);
            drop(std::fs::remove_file(beside));
        }
        std::fs::write(&database, copy).unwrap();
        Self::on(folder, clock)
    }

    pub(super) async fn stop(&mut self) {
        drop(self.end.take());
        (&mut self.serving).await.unwrap();
        self.control.close().await;
    }

    pub(super) async fn write(&self, command: Command) -> Outcome {
        self.control.write(Request::system(command)).await.unwrap()
    }

    pub(super) async fn cluster(&self, name: &str) -> ClusterId {
        let made = self
            .write(Command::CreateProject {
                name: format!("of-{name}"),
                description: String::new(),
            })
            .await;
        let project = made.objects.iter().find_map(|object| match object {
            Object::Project(project) => Some(project.id),
            _ => None,
        });
        self.cluster_in(project.unwrap(), name).await
    }

    async fn cluster_in(&self, project: ProjectId, name: &str) -> ClusterId {
        self.internet().await;
        let asked = CreateCluster {
            name: name.to_owned(),
            node_range: Some("10.0.0.0/24".to_owned()),
            pod_range: Some("10.1.0.0/16".to_owned()),
            service_range: Some("10.2.0.0/20".to_owned()),
            ..CreateCluster::default()
        };
        let cluster = NewCluster {
            project,
            spec: portolan_shared::cluster::check(&asked).unwrap(),
        };
        let made = self.write(Command::CreateCluster(cluster)).await;
        let id = made.objects.iter().find_map(|object| match object {
            Object::Cluster(cluster) => Some(cluster.id),
            _ => None,
        });
        id.unwrap()
    }

    /// The provider's external network, made once.
    async fn internet(&self) {
        if self.control.read(|view| view.external_networks().next().is_some()) {
            return;
        }
        let project = Command::CreateProject {
            name: "admin".to_owned(),
            description: String::new(),
        };
        let Some(Key::Project(project)) = self.write(project).await.objects.first().map(Object::key) else {
            panic!("no project")
        };
        let network = NewNetwork {
            project,
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
        let network = self.write(Command::CreateNetworks(vec![network])).await;
        let Some(Key::Network(network)) = network.objects.first().map(Object::key) else {
            panic!("no network")
        };
        let input = SubnetInput {
            cidr: "203.0.113.0/24".to_owned(),
            ..SubnetInput::default()
        };
        let spec = check::subnet(&input).unwrap();
        self.write(Command::CreateSubnets(vec![NewSubnet { project, network, spec }]))
            .await;
    }

    /// A node that is expected.
    pub(super) async fn expected(&self, cluster: ClusterId, name: &str) -> Arc<Node> {
        let made = self
            .write(Command::CreateNode {
                cluster,
                name: name.to_owned(),
                address: None,
            })
            .await;
        made.objects.iter().find_map(node_of).unwrap()
    }

    pub(super) async fn token(&self, cluster: ClusterId, node: Option<NodeId>) -> JoinToken {
        let (command, secret) = self.tokens.issue(cluster, node, self.control.now());
        let made = self.write(command).await;
        let Some(Object::JoinToken(token)) = made.objects.first() else {
            panic!("no token: {made:?}")
        };
        JoinToken::parse(&self.tokens.text(token, &secret)).unwrap()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.control.read(|view| view.node(id).cloned())
    }

    pub(super) fn status(&self, id: NodeId) -> Option<Arc<NodeStatus>> {
        self.control.read(|view| view.node_status(id).cloned())
    }

    pub(super) fn blocks(&self, id: NodeId) -> Vec<Arc<Block>> {
        self.control.read(|view| view.blocks_of_node(id).cloned().collect())
    }

    /// What the clock says, in whole seconds as certificates do; microseconds.
    pub(super) fn clock_seconds(&self) -> Micros {
        self.clock.now().div_euclid(1_000_000) * 1_000_000
    }

    pub(super) fn head(&self) -> Revision {
        self.control.read(portolan_core::view::View::head)
    }

    pub(super) fn ca_certificate(&self) -> Vec<u8> {
        ca_certificate(self.folder.path())
    }
}

pub(super) fn ca_certificate(folder: &Path) -> Vec<u8> {
    let pem = std::fs::read(folder.join("portolan.db.ca.crt")).unwrap();
    x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents
}

fn node_of(object: &Object) -> Option<Arc<Node>> {
    match object {
        Object::Node(node) => Some(Arc::clone(node)),
        _ => None,
    }
}

/// Does it while the timers of everything here stand: none that has not run out yet does meanwhile, whatever the machine
/// is busy with. `work` may move them on with [`tokio::time::advance`].
pub(super) async fn while_timers_stand<T>(work: impl Future<Output = T>) -> T {
    tokio::time::pause();
    // Paused timers move on by themselves as soon as nobody has anything to do.
    let busy = async {
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = busy => panic!("it does not happen without a timer that runs out"),
    };
    tokio::time::resume();
    done
}

/// Polls until something holds.
pub(super) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let by = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < by, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
