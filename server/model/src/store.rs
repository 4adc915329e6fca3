//! The store of the model: its rows, moved by the control plane's own decisions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use portolan_core::alloc::Pools;
use portolan_core::change::{Change, Op};
use portolan_core::command::{Claim, Command, Delete, NodeReport, Outcome, PodAllocation, Request};
use portolan_core::decide::decide;
use portolan_core::draft::Draft;
use portolan_core::history::{History, Incarnation, Point};
use portolan_core::kinds::epochs::Epoch;
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{
    Block, Cluster, JoinToken, Key, Meta, Micros, Network, Node, Object, Project, Purpose, Revision, Stored, Subnet,
};
use portolan_core::quotas::Quotas;
use portolan_core::view::View;
use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{NodesFrom, PathKind};
use uuid::Uuid;

use crate::shared::Shared;

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([3; 16]);
const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const NETWORK: NetworkId = NetworkId::from_bytes([2; 16]);
const NODES: SubnetId = SubnetId::from_bytes([4; 16]);
const PODS: SubnetId = SubnetId::from_bytes([5; 16]);

/// Prefix length of a block.
const BLOCK: u8 = 26;

/// The machine of a number: the hash of its key.
pub(crate) fn key(machine: u8) -> [u8; 32] {
    [machine + 1; 32]
}

/// The run of a number.
pub(crate) fn run(number: u8) -> Incarnation {
    Incarnation::from_bytes([number; 16])
}

/// Everything that is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    objects: BTreeMap<Key, Object>,
    pub(crate) head: Revision,
    pub(crate) history: History,
}

/// The pods of a machine: the number of a block that one has an address of, and which it is.
pub(crate) type Pods = BTreeMap<u8, Pod>;

/// A pod, by its machine and the number of its allocation there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pod {
    pub(crate) machine: u8,
    pub(crate) seq: u64,
}

/// What is asked of the writer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// An administrator makes a token, and a machine joins by it.
    Join(u8),
    Lease {
        node: NodeId,
        have: u32,
    },
    Return {
        node: NodeId,
        blocks: Vec<BlockId>,
    },
    /// All pods, by block, and the newest number.
    Pods {
        node: NodeId,
        pods: Pods,
        seq: u64,
    },
    LetGo {
        node: NodeId,
        machine: [u8; 32],
        blocks: Vec<BlockId>,
    },
    Claim(Shared<Claim>),
    Remove(NodeId),
    Admit(NodeId),
    Release(BlockId),
    /// A copy of a node's machine has shown itself.
    Copied(NodeId),
}

impl Rows {
    /// A cluster whose pod range has this many blocks, and no node.
    pub(crate) fn new(blocks: u8) -> Self {
        let meta = Meta {
            project: PROJECT,
            revision: 1,
            revision_number: 0,
            created_at: 0,
            updated_at: 0,
        };
        let project = Project {
            id: PROJECT,
            name: "shop".to_owned(),
            description: String::new(),
            enabled: true,
            mac_cursor: 0,
        };
        let network = Network {
            id: NETWORK,
            meta: meta.clone(),
            name: "shop".to_owned(),
            description: String::new(),
            admin_state_up: true,
            mtu: 1500,
            port_security_enabled: true,
            dns_domain: String::new(),
            owner: None,
            internet_access: false,
            external: false,
            shadow_port: None,
        };
        let subnet = |id, cidr: Cidr, purpose| Subnet {
            id,
            meta: meta.clone(),
            network: NETWORK,
            name: String::new(),
            description: String::new(),
            cidr,
            gateway: None,
            pools: Vec::new(),
            dns: Vec::new(),
            routes: Vec::new(),
            enable_dhcp: false,
            purpose,
            cursor: None,
        };
        let cluster = Cluster {
            id: CLUSTER,
            meta: meta.clone(),
            name: "shop".to_owned(),
            network: NETWORK,
            private_network: false,
            node_subnet: NODES,
            pod_subnet: PODS,
            service_range: range([10, 96, 0, 0], 24),
            path: PathKind::Auto,
            block_prefix: BLOCK,
            feed_revision: 1,
            external_ip: None,
            nodes_from: NodesFrom::Join,
            nodes_wanted: 0,
        };
        let prefix = BLOCK - blocks.next_power_of_two().ilog2() as u8;
        let objects = [
            Object::from(project),
            Object::from(network),
            Object::from(subnet(NODES, range([10, 0, 0, 0], 24), Purpose::Nodes(CLUSTER))),
            Object::from(subnet(PODS, range([10, 1, 0, 0], prefix), Purpose::Pods(CLUSTER))),
            Object::from(cluster),
        ];
        Self {
            objects: objects.into_iter().map(|object| (object.key(), object)).collect(),
            head: 1,
            history: History::new(Vec::new()),
        }
    }

    pub(crate) fn view(&self) -> View {
        let mut view = View::default();
        self.objects.values().for_each(|object| view.put(object.clone()));
        view.set_head(self.head);
        view.set_history(&self.history);
        view
    }

    /// All of a kind.
    pub(crate) fn all<K: Stored>(&self) -> impl Iterator<Item = Arc<K>> {
        self.objects.values().cloned().filter_map(K::of)
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = Arc<Block>> {
        self.all()
    }

    pub(crate) fn quarantined(&self) -> impl Iterator<Item = Arc<QuarantinedBlock>> {
        self.all()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = Arc<Node>> {
        self.all()
    }

    pub(crate) fn epochs(&self) -> impl Iterator<Item = Arc<Epoch>> {
        self.all()
    }

    pub(crate) fn point(&self) -> Point {
        Point {
            incarnation: self.history.at(self.head),
            revision: self.head,
        }
    }

    /// Whether it went through where another stands.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.history.holds(other.point(), self.head)
    }

    /// Decides; what is stored then, and the outcome. `begins` is the run that has not committed yet, and `within` a point
    /// of the history that is meant.
    pub(crate) fn ask(
        &self,
        begins: Option<Incarnation>,
        within: Option<Point>,
        ask: &Ask,
    ) -> (Self, Result<Outcome, Refusal>) {
        let Ask::Join(machine) = ask else {
            let request = Request {
                within,
                ..Request::system(command(ask))
            };
            return self.decide(begins, &request);
        };
        let (with_token, made) = self.decide(begins, &Request::system(token()));
        let Some(token) = made.ok().and_then(Outcome::made::<JoinToken>) else {
            return (self.clone(), Err(Refusal::TokenUnknown {}));
        };
        let join = Command::Join {
            token: token.id,
            secret_hash: token.secret_hash,
            name: format!("node-{machine}"),
            address: [10, 0, 0, 10 + machine].into(),
            key_hash: key(*machine),
        };
        let request = Request {
            within,
            ..Request::host(join)
        };
        match with_token.decide(None, &request) {
            (_, Err(refusal)) => (self.clone(), Err(refusal)),
            decided => decided,
        }
    }

    /// As the writer does, one command a batch.
    fn decide(&self, begins: Option<Incarnation>, request: &Request) -> (Self, Result<Outcome, Refusal>) {
        let view = self.view();
        let mut pools = Pools::default();
        for subnet in view.subnets(None) {
            pools.put(subnet, view.taken(subnet));
        }
        pools.settle();
        let drawn = Cell::new(0_u8);
        let by = begins.unwrap_or(self.history.newest()).as_bytes()[0];
        // No two commits of all histories draw the same.
        let ids = || {
            drawn.set(drawn.get() + 1);
            let mut id = [0; 16];
            (id[0], id[1], id[15]) = (self.head as u8, by, drawn.get());
            Uuid::from_bytes(id)
        };
        let mut draft = Draft::new(&view, &mut pools, &ids, Quotas::NONE, 0);
        draft.begin();
        let mut outcome = match decide(&mut draft, request) {
            Ok(outcome) => outcome,
            Err(refusal) => return (self.clone(), Err(refusal)),
        };
        let mut changes = draft.accept();
        outcome.revision = draft.head();
        if changes.is_empty() {
            return (self.clone(), Ok(outcome));
        }
        changes.extend(draft.cursors());
        let mut next = self.clone();
        changes.iter().for_each(|change| next.apply(change));
        next.head = outcome.revision;
        if let Some(run) = begins {
            next.history.begin(run, next.head);
        }
        (next, Ok(outcome))
    }

    fn apply(&mut self, change: &Change) {
        match change.op {
            Op::Put | Op::Quiet => drop(self.objects.insert(change.key, change.object.clone())),
            Op::Delete => drop(self.objects.remove(&change.key)),
        }
    }
}

fn range(address: [u8; 4], prefix: u8) -> Cidr {
    Cidr::containing(IpAddr::from(address), prefix).expect("no prefix here is longer than 32")
}

/// The number of a block of the pod range, by its addresses.
pub(crate) fn number(cidr: Cidr) -> u8 {
    match cidr.first() {
        IpAddr::V4(first) => first.octets()[3] >> 6,
        IpAddr::V6(_) => 0,
    }
}

fn allocation((block, pod): (&u8, &Pod)) -> PodAllocation {
    let seq = pod.seq as u8;
    let mut id = [0xff; 16];
    (id[0], id[1]) = (pod.machine, seq);
    PodAllocation {
        id: PortId::from_bytes(id),
        pod: portolan_core::model::Pod {
            namespace: String::new(),
            name: String::new(),
            container_id: String::new(),
            seq: pod.seq,
            host_ports: portolan_core::model::HostPorts::default(),
        },
        addresses: vec![[10, 1, 0, (block << 6) + 1].into()],
        mac: MacAddress::new([10, 88, 0, 0, pod.machine, seq]),
    }
}

fn token() -> Command {
    Command::CreateJoinToken {
        cluster: CLUSTER,
        node: None,
        secret_hash: [9; 32],
        expires_at: Micros::MAX,
    }
}

fn command(ask: &Ask) -> Command {
    match ask {
        Ask::Join(_) => token(),
        Ask::Lease { node, have } => Command::LeaseBlock {
            node: *node,
            have: *have,
        },
        Ask::Return { node, blocks } => Command::ReturnBlocks {
            node: *node,
            blocks: blocks.clone(),
        },
        Ask::Pods { node, pods, seq } => Command::ReportPods {
            node: *node,
            full: true,
            seq: *seq,
            allocations: pods.iter().map(allocation).collect(),
            releases: Vec::new(),
        },
        Ask::LetGo { node, machine, blocks } => Command::LetGo {
            cluster: CLUSTER,
            node: *node,
            machine: *machine,
            blocks: blocks.clone(),
            kept: Vec::new(),
        },
        Ask::Claim(claim) => Command::Claim((**claim).clone()),
        Ask::Remove(node) => Command::Delete(Delete::Node(*node)),
        Ask::Admit(node) => Command::AdmitNode(*node),
        Ask::Release(block) => Command::ReleaseBlock(*block),
        Ask::Copied(node) => Command::ReportNodes(vec![NodeReport {
            node: *node,
            online: None,
            applied: None,
            losses: None,
            paused: None,
            paths: None,
            agent_version: None,
            by: None,
            beat: None,
            tickets: None,
            copied: Some(0),
        }]),
    }
}
