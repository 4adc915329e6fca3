//! What several test binaries need: a control plane on a fresh store, and requests in short words.
#![expect(clippy::disallowed_methods, reason = "tests read their environment")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

pub mod clusters;
pub mod postgres;
pub mod property;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_core::access::Scope;
use portolan_core::command::{
    Actor, Command, FixedIpRequest, NewCluster, NewNetwork, NewPort, NewShadowRequest, NewSubnet, Outcome, Request,
    Step, Via,
};
use portolan_core::model::{Cluster, Network, Node, Object, Port, Project, Subnet, User};
use portolan_core::quotas::Quotas;
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::cluster::check as cluster_check;
use portolan_shared::ids::{NetworkId, ProjectId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{CreateCluster, Side};
use portolan_sources::{SystemFiles, SystemThreads};
use portolan_store::SqliteOptions;

/// A control plane with a project, on a store of its own.
pub struct Kit {
    pub control: Control,
    pub project: ProjectId,
    _folder: Option<tempfile::TempDir>,
}

/// Options without quotas, over this database.
pub fn options(database: &str) -> OpenOptions {
    OpenOptions {
        quotas: Quotas::NONE,
        ..OpenOptions::new(database, Sources::system())
    }
}

/// How to open this file by itself.
pub fn sqlite(path: impl Into<PathBuf>, store_id: [u8; 16]) -> SqliteOptions {
    SqliteOptions::new(path, store_id, Arc::new(SystemFiles), Arc::new(SystemThreads))
}

impl Kit {
    /// On SQLite in a folder of its own.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("portolan.db").display());
        Self {
            _folder: Some(folder),
            ..Self::open(options(&database)).await
        }
    }

    /// Over this database, in a new project.
    pub async fn open(options: OpenOptions) -> Self {
        Self::over(Control::open(options).unwrap()).await
    }

    /// Over this control plane, in a new project.
    pub async fn over(control: Control) -> Self {
        let name = format!("project-{}", control.new_id().simple());
        let nobody = ProjectId::from_bytes([0; 16]);
        let made = control
            .write(admin(
                nobody,
                Command::CreateProject {
                    name,
                    description: String::new(),
                },
            ))
            .await
            .unwrap();
        let Object::Project(project) = &made.objects[0] else {
            panic!("{made:?}")
        };
        Self {
            control,
            project: project.id,
            _folder: None,
        }
    }

    /// As a user of the project.
    pub async fn ask(&self, command: Command) -> Result<Outcome, Refusal> {
        self.control.write(user(self.project, command)).await
    }

    pub async fn network(&self) -> NetworkId {
        let made = self
            .ask(Command::CreateNetworks(vec![new_network(self.project, "web")]))
            .await
            .unwrap();
        network(&made.objects[0]).id
    }

    pub async fn subnet(&self, network: NetworkId, cidr: &str) -> SubnetId {
        let made = self
            .ask(Command::CreateSubnets(vec![new_subnet(self.project, network, cidr)]))
            .await
            .unwrap();
        subnet(&made.objects[0]).id
    }

    pub async fn port(&self, new: NewPort) -> Result<Arc<Port>, Refusal> {
        self.ask(Command::CreatePorts(vec![new]))
            .await
            .map(|made| port(&made.objects[0]))
    }

    /// The provider's project, made if need be.
    pub async fn provider(&self) -> ProjectId {
        if let Some(id) = self.control.read(|view| view.project_by_name("admin").map(|p| p.id)) {
            return id;
        }
        let command = Command::CreateProject {
            name: "admin".to_owned(),
            description: String::new(),
        };
        let made = self.control.write(admin(self.project, command)).await.unwrap();
        project(&made.objects[0]).id
    }

    /// A network with a shadow port, in a project that is granted it.
    pub async fn quiet_network(&self) -> NetworkId {
        self.provider().await;
        self.grant().await;
        let new = NewNetwork {
            shadow_port: true,
            ..new_network(self.project, "quiet")
        };
        let made = self.ask(Command::CreateNetworks(vec![new])).await.unwrap();
        network(&made.objects[0]).id
    }

    /// Lets the project make networks with a shadow port.
    pub async fn grant(&self) {
        let granter = User {
            id: self.control.new_id().into(),
            name: format!("granter-{}", self.control.new_id().simple()),
            password_hash: String::new(),
            enabled: true,
            default_project: None,
            language: None,
        };
        let by = |command| Request {
            actor: Actor::User(granter.id),
            ..admin(self.project, command)
        };
        let put = Command::CreateUser(granter.clone());
        self.control.write(admin(self.project, put)).await.unwrap();
        let file = Command::FileRequest(NewShadowRequest {
            project: self.project,
            purpose: "Machines that reach nothing else".to_owned(),
            nodes: 1,
            network: None,
            quotes: None,
        });
        let filed = self.control.write(by(file)).await.unwrap();
        let Object::ShadowRequest(filed) = &filed.objects[0] else {
            panic!("no request: {filed:?}")
        };
        let grant = Command::OnRequest {
            request: filed.id,
            side: Side::Support,
            step: Step::Grant {
                until: None,
                message: None,
            },
        };
        self.control.write(by(grant)).await.unwrap();
    }

    /// An external network of the provider's with this subnet, as set-up makes one.
    pub async fn internet(&self, cidr: &str) -> NetworkId {
        let provider = self.provider().await;
        let network = NewNetwork {
            external: true,
            ..new_network(provider, "internet")
        };
        let made = self
            .control
            .write(admin(provider, Command::CreateNetworks(vec![network])));
        let id = self::network(&made.await.unwrap().objects[0]).id;
        let subnet = Command::CreateSubnets(vec![new_subnet(provider, id, cidr)]);
        self.control.write(admin(provider, subnet)).await.unwrap();
        id
    }

    /// A cluster with a private network; an external network must be there.
    pub async fn cluster(&self, name: &str) -> Arc<Cluster> {
        let made = self.ask(Command::CreateCluster(new_cluster(self.project, name))).await;
        self::cluster(&made.unwrap().objects[0])
    }

    /// A port with default addresses.
    pub async fn any_port(&self, network: NetworkId) -> Result<Arc<Port>, Refusal> {
        self.port(new_port(self.project, network)).await
    }
}

pub fn user(project: ProjectId, command: Command) -> Request {
    Request::new(Actor::System, Via::SYSTEM, Scope::project(project), command)
}

pub fn admin(project: ProjectId, command: Command) -> Request {
    Request::new(Actor::System, Via::SYSTEM, Scope::everywhere(project), command)
}

pub fn new_network(project: ProjectId, name: &str) -> NewNetwork {
    NewNetwork {
        project,
        name: name.to_owned(),
        description: String::new(),
        admin_state_up: true,
        mtu: 1500,
        port_security_enabled: true,
        dns_domain: String::new(),
        internet_access: false,
        external: false,
        shadow_port: false,
    }
}

pub fn new_subnet(project: ProjectId, network: NetworkId, cidr: &str) -> NewSubnet {
    let input = SubnetInput {
        cidr: cidr.to_owned(),
        ..SubnetInput::default()
    };
    NewSubnet {
        project,
        network,
        spec: check::subnet(&input).unwrap(),
    }
}

pub fn new_port(project: ProjectId, network: NetworkId) -> NewPort {
    NewPort {
        project,
        network,
        name: "".into(),
        description: "".into(),
        mac: None,
        fixed_ips: None,
        admin_state_up: true,
        device_owner: "".into(),
        device_id: "".into(),
        host: "".into(),
        port_security_enabled: None,
    }
}

/// A cluster with everything by default.
pub fn new_cluster(project: ProjectId, name: &str) -> NewCluster {
    let asked = CreateCluster {
        name: name.to_owned(),
        ..CreateCluster::default()
    };
    NewCluster {
        project,
        spec: cluster_check(&asked).unwrap(),
    }
}

/// A port with exactly this address.
pub fn port_at(project: ProjectId, network: NetworkId, address: &str) -> NewPort {
    NewPort {
        fixed_ips: Some(vec![FixedIpRequest::Address(ip(address))]),
        ..new_port(project, network)
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn addresses(port: &Port) -> Vec<String> {
    port.fixed_ips.iter().map(|ip| ip.address.to_string()).collect()
}

macro_rules! unwrap {
    ($($name:ident -> $kind:ident;)*) => {
        $(pub fn $name(object: &Object) -> Arc<$kind> {
            match object {
                Object::$kind(object) => Arc::clone(object),
                other => panic!("no {}: {other:?}", stringify!($name)),
            }
        })*
    };
}

unwrap! {
    project -> Project;
    network -> Network;
    subnet -> Subnet;
    port -> Port;
    cluster -> Cluster;
    node -> Node;
}

/// How long a test waits for what must happen, on a machine as busy as may be.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until it holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The code of a refusal, or what was done.
pub fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.map_or_else(|refusal| refusal.code().to_owned(), |done| format!("done: {done:?}"))
}
