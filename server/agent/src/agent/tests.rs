//! Whole agents on machines in memory, against a control plane that the test plays.

mod certificates;

use std::future::pending;
use std::path::Path;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId};
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SeededRandom, SetClock};
use portolan_sources::{Clock as _, SystemClock, SystemNet};
use portolan_wire::CERTIFICATE_EXPIRED;
use portolan_wire::agent::{
    Block, Cluster, FromAgent, JoinReply, JoinRequest, Prefix, Progress, Refused, RenewReply, RenewRequest, Renewed,
    Role, Snapshot, ToAgent, Welcome, from_agent, join_reply::Outcome, renew_reply::Outcome as Renewal, to_agent,
};
use portolan_wire::token::{JoinToken, Secret};
use prost::Message as _;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::desired::State;
use crate::identity::CERTIFICATE_LIFE;
use crate::identity::testing::{Authority, Peer};
use crate::kernel::fake::FakeKernel;
use crate::machine::Sources;

const PATIENCE: Duration = Duration::from_secs(60);
const OWN: NodeId = NodeId::from_bytes([1; 16]);
/// Where a token is, if it is in a file.
const TOKEN: &str = "/state/token";

/// A host without a kernel or a disk of its own, and an authority to join.
struct Rig {
    authority: Authority,
    files: MemoryFiles,
    clock: SetClock,
    kernel: Arc<FakeKernel>,
    home: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let files = MemoryFiles::default();
        files.make_folder(Path::new("/state")).unwrap();
        Self {
            authority: Authority::listen().await,
            files,
            // The authority's certificates are of today.
            clock: SetClock::at(SystemClock.now()),
            kernel: Arc::default(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn disk(&self) -> Arc<dyn Files> {
        Arc::new(self.files.clone())
    }

    fn open(&self) -> Result<Agent, RunError> {
        self.open_with(None, Some(self.token(3)))
    }

    /// The text of a token, by number.
    fn token(&self, n: u8) -> String {
        let token = JoinToken {
            endpoint: self.authority.address.to_string(),
            ca_sha256: self.authority.key_sha256(),
            cluster: ClusterId::from_bytes([2; 16]),
            role: Role::Node,
            expires_at: 0,
            id: JoinTokenId::from_bytes([n; 16]),
            secret: Secret::new([4; 32]),
        };
        token.text()
    }

    /// An agent that finds its token in [`TOKEN`].
    fn open_with_file(&self) -> Agent {
        self.open_with(Some(TOKEN.into()), None).unwrap()
    }

    fn give_token(&self, n: u8) {
        let text = self.token(n);
        self.files.replace(Path::new(TOKEN), text.as_bytes(), 0o600).unwrap();
    }

    fn open_with(&self, join_token_file: Option<PathBuf>, token: Option<String>) -> Result<Agent, RunError> {
        let sources = Sources {
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(SeededRandom::new(1)),
            files: self.disk(),
            net: Arc::new(SystemNet),
            workers: Workers::default(),
            sync_thread: Arc::new(OnTheSpot),
        };
        let machine = Machine {
            sources,
            kernel: self.kernel.clone(),
            probes: None,
            host_name: "node-1".to_owned(),
            kernel_release: "6.1".to_owned(),
        };
        let options = Run {
            state_dir: "/state".into(),
            cni_socket: self.home.path().join("cni.sock"),
            probe_netns: "/run/netns/probes".into(),
            join_token_file,
            name: None,
            address: vec![[10, 0, 0, 11].into()],
        };
        Agent::open(machine, options, token)
    }

    /// Lets the host that asks next join, as [`OWN`].
    async fn let_in(&self) -> JoinRequest {
        let mut peer = self.authority.accept().await;
        let frame = peer.next().await.unwrap().unwrap().into_data();
        let request = JoinRequest::decode(frame).unwrap();
        let joined = Outcome::Joined(self.authority.joined(&request.csr, OWN));
        let reply = JoinReply { outcome: Some(joined) };
        peer.send(Message::Binary(reply.encode_to_vec().into())).await.unwrap();
        request
    }

    /// Answers the host that asks next, and waits until it has gone; the token that it has shown, by number. `None` hangs up.
    async fn answer(&self, refusal: Option<&str>) -> u8 {
        let mut peer = self.authority.accept().await;
        let frame = peer.next().await.unwrap().unwrap().into_data();
        let request = JoinRequest::decode(frame).unwrap();
        if let Some(code) = refusal {
            let refused = Outcome::Refused(Refused {
                code: code.to_owned(),
                sentence: "No.".to_owned(),
                retry: false,
            });
            let reply = JoinReply { outcome: Some(refused) };
            peer.send(Message::Binary(reply.encode_to_vec().into())).await.unwrap();
        } else {
            peer.close(None).await.unwrap();
        }
        while let Some(Ok(_)) = peer.next().await {}
        request.token_id[0]
    }

    /// Answers a node whose certificate has expired: with another one, or with the code of a refusal. Which key it is for.
    async fn renew(&self, refusal: Option<&str>) -> Vec<u8> {
        let mut peer = self.authority.accept().await;
        let frame = peer.next().await.unwrap().unwrap().into_data();
        let request = RenewRequest::decode(frame).unwrap();
        let outcome = match refusal {
            None => Renewal::Renewed(Renewed {
                certificate: self.authority.sign(&request.csr),
            }),
            Some(code) => Renewal::Refused(Refused {
                code: code.to_owned(),
                sentence: "No.".to_owned(),
                retry: true,
            }),
        };
        let reply = RenewReply { outcome: Some(outcome) };
        peer.send(Message::Binary(reply.encode_to_vec().into())).await.unwrap();
        while let Some(Ok(_)) = peer.next().await {}
        request.csr
    }

    /// A host that was certified longer ago than a certificate lasts.
    fn expired(&self) -> Identity {
        let long_ago = self.clock.now() - i64::try_from(CERTIFICATE_LIFE.as_micros()).unwrap() - 1_000_000;
        self.authority
            .identity(&self.disk(), Path::new("/state"), OWN, long_ago)
    }

    /// The next connection of a node.
    async fn connected(&self) -> Peer {
        let mut peer = self.authority.accept().await;
        assert!(matches!(heard(&mut peer).await, from_agent::Message::Hello(_)));
        peer
    }
}

async fn heard(peer: &mut Peer) -> from_agent::Message {
    let frame = peer.next().await.unwrap().unwrap().into_data();
    FromAgent::decode(frame).unwrap().message.unwrap()
}

async fn tell(peer: &mut Peer, message: to_agent::Message) {
    let frame = ToAgent { message: Some(message) }.encode_to_vec();
    peer.send(Message::Binary(frame.into())).await.unwrap();
}

#[tokio::test]
async fn a_first_boot_with_the_clock_behind_goes_on_when_the_clock_is_right() {
    let rig = Rig::new().await;
    let now = Duration::from_micros(u64::try_from(rig.clock.now()).unwrap());
    rig.clock.set_back(now);
    let agent = rig.open().unwrap();
    let playing = async {
        // The certificates of tests are valid from 1975 on.
        rig.authority.refused().await;
        rig.authority.refused().await;
        rig.clock.advance(now);
        rig.let_in().await;
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE, playing) => done.unwrap(),
    }
}

/// A minute passes. The agent sleeps: who was answered last has seen it go.
async fn a_minute() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_refusal_ends_no_agent_and_a_new_token_in_the_file_is_used_within_a_minute() {
    let rig = Rig::new().await;
    rig.give_token(1);
    let agent = rig.open_with_file();
    let playing = async {
        assert_eq!(rig.answer(Some("token.expired")).await, 1);
        // The same is not shown again; a file that is being written is looked at again.
        a_minute().await;
        rig.files.replace(Path::new(TOKEN), b"portolan", 0o600).unwrap();
        a_minute().await;
        rig.give_token(2);
        a_minute().await;
        assert_eq!(rig.answer(Some("token.unknown")).await, 2);
        rig.give_token(1);
        a_minute().await;
        rig.give_token(4);
        a_minute().await;
        // What is not the token's fault may pass: by itself, or when somebody has changed the host.
        assert_eq!(rig.answer(None).await, 4);
        assert_eq!(rig.answer(Some("node.outside_range")).await, 4);
        a_minute().await;
        assert_eq!(rig.let_in().await.token_id[0], 4);
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE * 10, playing) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_removed_node_takes_a_new_token() {
    let rig = Rig::new().await;
    let mut identity = rig
        .authority
        .identity(&rig.disk(), Path::new("/state"), OWN, rig.clock.now());
    identity.note_removed(true).unwrap();
    rig.give_token(1);
    let agent = rig.open_with_file();
    let snapshot = Snapshot {
        revision: 7,
        cluster: Some(Cluster {
            id: vec![2; 16],
            ..Cluster::default()
        }),
        ..Snapshot::default()
    };
    let heard_before = State::of_snapshot([7; 16], Vec::new(), snapshot).unwrap();
    agent.desired_file().save(&heard_before).unwrap();
    let playing = async {
        parts(&rig, "node.removed").await;
        // Nobody has heard the token: it is tried again.
        assert_eq!(rig.answer(None).await, 1);
        a_minute().await;
        parts(&rig, "node.removed").await;
        assert_eq!(rig.answer(Some("token.spent")).await, 1);
        rig.give_token(2);
        a_minute().await;
        parts(&rig, "node.removed").await;
        assert_eq!(rig.let_in().await.token_id[0], 2);
        let mut peer = rig.authority.accept().await;
        let from_agent::Message::Hello(hello) = heard(&mut peer).await else {
            panic!()
        };
        assert_eq!(hello.desired_revision, 7, "it is the same node, and knows what it knew");
        assert!(!agent.pods.usage().removed);
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE * 10, playing) => done.unwrap(),
    }
}

#[tokio::test]
async fn without_a_token_or_with_a_text_that_is_none_an_agent_does_not_begin() {
    let rig = Rig::new().await;
    let run = |agent: Agent| async move { timeout(PATIENCE, agent.run(pending())).await.unwrap() };
    assert!(matches!(
        run(rig.open_with(None, None).unwrap()).await,
        Err(RunError::NoToken)
    ));
    let nonsense = rig.open_with(None, Some("nonsense".to_owned())).unwrap();
    assert!(matches!(run(nonsense).await, Err(RunError::Token(_))));
    assert!(matches!(run(rig.open_with_file()).await, Err(RunError::State { .. })));
}

#[tokio::test]
async fn a_whole_agent_runs_without_a_kernel_or_a_disk_of_its_own() {
    let rig = Rig::new().await;
    let (address, link) = ("10.0.0.11".parse().unwrap(), 2);
    rig.kernel.state.lock().seen.addresses.insert(address, link);
    let agent = rig.open().unwrap();
    let playing = async {
        rig.let_in().await;
        let mut peer = rig.connected().await;
        let welcome = Welcome {
            protocol: 1,
            store_id: vec![7; 16],
            head: 5,
            ..Welcome::default()
        };
        tell(&mut peer, to_agent::Message::Welcome(welcome)).await;
        let prefix = |length| Prefix {
            address: vec![10, 1, 0, 0],
            length,
        };
        let snapshot = Snapshot {
            revision: 5,
            cluster: Some(Cluster {
                id: vec![2; 16],
                pod_ranges: vec![prefix(16)],
                ..Cluster::default()
            }),
            blocks: vec![Block {
                id: vec![3; 16],
                node_id: OWN.as_bytes().to_vec(),
                prefix: Some(prefix(26)),
                ..Block::default()
            }],
            ..Snapshot::default()
        };
        tell(&mut peer, to_agent::Message::Snapshot(snapshot)).await;
        tell(
            &mut peer,
            to_agent::Message::Progress(Progress {
                head: 5,
                position: None,
                ..Progress::default()
            }),
        )
        .await;
        loop {
            if let from_agent::Message::Applied(applied) = heard(&mut peer).await
                && applied.revision == 5
            {
                break applied.exceptions;
            }
        }
    };
    let exceptions = tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE, playing) => done.unwrap(),
    };
    // The kernel in memory has no switches, and says so; the routes of the block and of the end of probes are
    // there.
    assert_eq!(exceptions.len(), 1);
    assert_eq!(exceptions[0].kind, "node");
    let seen = rig.kernel.state.lock().seen.clone();
    let routes: Vec<String> = seen.routes.keys().map(|key| key.prefix.to_string()).collect();
    assert_eq!(routes, ["10.1.0.0/26", "10.1.0.63/32"]);
    // What it has heard is on its disk, and its state directory is its own while it is there.
    let file = DesiredFile::new(rig.disk(), Path::new("/state"));
    assert_eq!(file.load().unwrap().unwrap().revision(), 5);
    assert!(matches!(rig.open(), Err(RunError::Taken(_))));
    drop(agent);
    rig.open().unwrap();
}

/// Answers whoever comes next, once it has let go of blocks; how many.
async fn parts(rig: &Rig, code: &str) -> usize {
    let mut peer = rig.authority.accept().await;
    let from_agent::Message::LetGo(let_go) = heard(&mut peer).await else {
        panic!("a machine that is no node says no hello");
    };
    let refused = Refused {
        code: code.to_owned(),
        sentence: String::new(),
        retry: code != "node.removed",
    };
    tell(&mut peer, to_agent::Message::Refused(refused)).await;
    let_go.blocks.len()
}

#[tokio::test]
async fn a_removed_node_lets_go_of_its_blocks_and_is_one_again_when_it_is_told_so() {
    let rig = Rig::new().await;
    rig.authority
        .identity(&rig.disk(), Path::new("/state"), OWN, rig.clock.now());
    let agent = rig.open().unwrap();
    let playing = async {
        // Its certificate has not ended, so it connects at once, and hears that it was removed.
        let mut peer = rig.connected().await;
        let refused = Refused {
            code: "node.removed".to_owned(),
            sentence: "Removed.".to_owned(),
            retry: false,
        };
        tell(&mut peer, to_agent::Message::Refused(refused)).await;
        parts(&rig, "node.removed").await;
        let kept = Identity::load(&rig.disk(), Path::new("/state")).unwrap().unwrap();
        assert!(kept.is_removed(), "it is noted before anything is let go of");
        assert!(agent.pods.usage().removed);
        // The token that it has is tried once.
        assert_eq!(rig.answer(Some("token.spent")).await, 3);
    };
    timeout(PATIENCE, agent.run(playing)).await.unwrap().unwrap();
    drop(agent);

    // Started again it is still removed: no pod is given anything from the first moment on.
    let agent = rig.open().unwrap();
    let playing = async {
        parts(&rig, "node.known").await;
        rig.connected().await;
        assert!(!agent.pods.usage().removed);
    };
    timeout(PATIENCE, agent.run(playing)).await.unwrap().unwrap();
    assert!(
        !Identity::load(&rig.disk(), Path::new("/state"))
            .unwrap()
            .unwrap()
            .is_removed()
    );
}
