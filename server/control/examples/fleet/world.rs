//! A control plane with clusters of joined nodes, on SQLite in a folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::try_join_all;
use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_control::nodes::pki::{Ca, Requested};
use portolan_control::nodes::{Endpoint, EndpointError, Listen, Options, Tokens};
use portolan_core::command::{Command, NewCluster, NewNetwork, NewSubnet, Request};
use portolan_core::model::{Cluster, Object};
use portolan_core::quotas::Quotas;
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId};
use portolan_shared::v1::CreateCluster;
use portolan_wire::agent::Role;
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Outcome, write_pieces};

/// How many agents are in a cluster.
pub fn agents_of(cluster: usize, agents: usize, clusters: usize) -> usize {
    agents / clusters + usize::from(cluster < agents % clusters)
}

/// A control plane whose writes are fsynced, and what is known of its clusters.
pub struct World {
    pub control: Control,
    pub clusters: Vec<(ClusterId, NetworkId)>,
    sources: Sources,
    ca_key: PathBuf,
    database: PathBuf,
}

/// Its agent endpoint, until it is ended.
pub struct Serving {
    pub address: SocketAddr,
    /// Makes join tokens.
    pub tokens: Tokens,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), EndpointError>>,
}

impl Serving {
    /// Closes all streams.
    pub async fn end(self) -> Outcome<()> {
        self.stop.send(()).map_err(|()| "the endpoint has ended by itself")?;
        Ok(self.task.await??)
    }
}

impl World {
    /// The control plane of a folder, as it was left.
    pub fn open(folder: &Path) -> Outcome<Self> {
        let (sources, database) = (Sources::system(), folder.join("portolan.db"));
        let mut open = OpenOptions::new(format!("sqlite:{}", database.display()), sources.clone());
        open.quotas = Quotas::NONE;
        Ok(Self {
            control: Control::open(open)?,
            clusters: Vec::new(),
            sources,
            ca_key: folder.join("portolan.db.ca.key"),
            database,
        })
    }

    /// Makes clusters and joined nodes, and in the folder the nodes' ids, certificates and keys: by its key a node is known.
    pub async fn prepare(folder: &Path, agents: usize, clusters: usize) -> Outcome<Self> {
        let mut world = Self::open(folder)?;
        let ca = Ca::open(
            &*world.sources.files,
            &world.ca_key,
            world.control.now(),
            Arc::clone(&world.sources.random),
        )?;
        let mut identities: Vec<Vec<u8>> = Vec::new();
        world.internet(clusters).await?;
        for at in 0..clusters {
            let cluster = world.cluster(at).await?;
            // At once, so that many share a commit.
            let (world, ca) = (&world, &ca);
            let join = async |host| -> Outcome<[Vec<u8>; 3]> {
                let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
                let requested = Requested::parse(CertificateParams::default().serialize_request(&key)?.der())?;
                let node = world.node(cluster, host, requested.key_hash()).await?;
                let certificate = ca.sign_agent(&requested, node, cluster, Role::Node, world.control.now())?;
                Ok([node.as_bytes().to_vec(), certificate.to_vec(), key.serialize_der()])
            };
            let joined = try_join_all((0..agents_of(at, agents, clusters)).map(join)).await?;
            identities.extend(joined.into_iter().flatten());
        }
        write_pieces(&folder.join("identities"), identities.iter().map(Vec::as_slice))?;
        std::fs::write(folder.join("ca"), ca.certificate())?;
        Ok(world)
    }

    /// Ends it; what it leaves is all in the database's one file.
    pub async fn close(self) -> PathBuf {
        self.control.close().await;
        self.database
    }

    /// Opens the agent endpoint. The nodes of the first tenth of the clusters go first.
    pub fn serve(&self, address: SocketAddr) -> Outcome<Serving> {
        let mut clusters: Vec<(ClusterId, ProjectId)> = self.control.read(|view| {
            let all = view.all::<Cluster>();
            all.map(|cluster| (cluster.id, cluster.meta.project)).collect()
        });
        // Ids are in the order in which they were made.
        clusters.sort_unstable();
        clusters.truncate(clusters.len().div_ceil(10));
        let first = clusters.into_iter().map(|(_, project)| project).collect();
        let options = Options {
            listen: Listen::Address(address),
            advertise: address.to_string(),
            ca_key: self.ca_key.clone(),
            first,
        };
        let endpoint = Endpoint::open(self.control.clone(), &options, &self.sources)?;
        let (address, tokens) = (endpoint.local_addr(), endpoint.tokens());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(endpoint.serve(async { drop(stopped.await) }));
        Ok(Serving {
            address,
            tokens,
            stop,
            task,
        })
    }

    pub async fn write(&self, command: Command) -> Outcome<portolan_core::command::Outcome> {
        Ok(self.control.write(Request::system(command)).await?)
    }

    /// How many nodes are online, as far as is written down.
    pub fn online(&self) -> usize {
        self.control.read(|view| {
            let statuses = view.nodes().filter_map(|node| view.node_status(node.id));
            statuses.filter(|status| status.online).count()
        })
    }

    /// The provider's external network, with an address for each cluster.
    async fn internet(&self, clusters: usize) -> Outcome<()> {
        let project = Command::CreateProject {
            name: "admin".to_owned(),
            description: String::new(),
        };
        let project = find(&self.write(project).await?.objects, |object| match object {
            Object::Project(project) => Some(project.id),
            _ => None,
        })?;
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
        let network = find(
            &self.write(Command::CreateNetworks(vec![network])).await?.objects,
            |object| match object {
                Object::Network(network) => Some(network.id),
                _ => None,
            },
        )?;
        let bits = usize::BITS - (clusters + 4).leading_zeros();
        let input = SubnetInput {
            cidr: format!("100.64.0.0/{}", 32 - bits),
            ..SubnetInput::default()
        };
        let spec = check::subnet(&input).map_err(|wrong| format!("{wrong:?}"))?;
        let subnet = NewSubnet { project, network, spec };
        self.write(Command::CreateSubnets(vec![subnet])).await?;
        Ok(())
    }

    async fn cluster(&mut self, at: usize) -> Outcome<ClusterId> {
        let project = Command::CreateProject {
            name: format!("p{at}"),
            description: String::new(),
        };
        let project = find(&self.write(project).await?.objects, |object| match object {
            Object::Project(project) => Some(project.id),
            _ => None,
        })?;
        let asked = CreateCluster {
            name: "shop".to_owned(),
            node_range: Some("10.0.0.0/16".to_owned()),
            pod_range: Some("10.64.0.0/10".to_owned()),
            ..CreateCluster::default()
        };
        let spec = portolan_shared::cluster::check(&asked).map_err(|wrong| format!("{wrong:?}"))?;
        let cluster = NewCluster { project, spec };
        let made = self.write(Command::CreateCluster(cluster)).await?.objects;
        let cluster = find(&made, |object| match object {
            Object::Cluster(cluster) => Some(Arc::clone(cluster)),
            _ => None,
        })?;
        self.clusters.push((cluster.id, cluster.network));
        Ok(cluster.id)
    }

    async fn node(&self, cluster: ClusterId, host: usize, key_hash: [u8; 32]) -> Outcome<NodeId> {
        let mut secret_hash = [0; 32];
        self.control.random(&mut secret_hash);
        let expires_at = self.control.now() + 3_600_000_000;
        let token = Command::CreateJoinToken {
            cluster,
            node: None,
            secret_hash,
            expires_at,
        };
        let token = find(&self.write(token).await?.objects, |object| match object {
            Object::JoinToken(token) => Some(token.id),
            _ => None,
        })?;
        let address = std::net::Ipv4Addr::from(0x0a00_0100 + u32::try_from(host)?).into();
        let join = Command::Join {
            token,
            secret_hash,
            name: format!("n{host}"),
            address,
            key_hash,
        };
        find(&self.write(join).await?.objects, |object| match object {
            Object::Node(node) => Some(node.id),
            _ => None,
        })
    }
}

/// The object that a command has made.
pub fn find<T>(objects: &[Object], pick: impl Fn(&Object) -> Option<T>) -> Outcome<T> {
    objects
        .iter()
        .find_map(pick)
        .ok_or_else(|| "the object was not made".into())
}
