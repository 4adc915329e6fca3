//! The connection against a control plane that says what the test wants, over real TLS sockets.

#![expect(clippy::disallowed_methods, reason = "the tests damage what is on the disk")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_plan::{Desired, Signals};
use portolan_sources::{Clock as _, Files, SystemClock, SystemFiles};
use portolan_wire::PROTOCOL;
use portolan_wire::agent::{
    Block, Change, Cluster, FromAgent, Hello, PodAck, PodReport, Prefix, Progress, Refused, Renewed, Snapshot, Ticket,
    ToAgent, Welcome, from_agent::Message as In, to_agent::Message as Out,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::converge::{Apply, Rounds};
use crate::desired::disk::DesiredFile;
use crate::host::Outcome;
use crate::identity::testing::{Authority, Peer as Socket};
use crate::kernel::fake::FakeKernel;
use crate::kernel::{Kernel as _, KernelError, Watch};
use crate::pause::{PauseFile, Paused};
use crate::pods::tests::Rig;

mod reports;

const PATIENCE: Duration = Duration::from_secs(60);
const STORE: [u8; 16] = [7; 16];
const OWN: NodeId = NodeId::from_bytes([1; 16]);

fn now() -> i64 {
    SystemClock.now()
}

fn disk() -> Arc<dyn Files> {
    Arc::new(SystemFiles)
}

/// A host that takes everything.
struct Willing;

impl Apply for Willing {
    fn converge(
        &self,
        _: &Desired,
        _: &Signals,
        _: Option<Instant>,
        _: Option<&Paused>,
    ) -> Result<Outcome, KernelError> {
        Ok(Outcome::default())
    }

    fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        FakeKernel::default().watch()
    }
}

/// A node, connecting to an authority that the test plays.
struct Rigged {
    authority: Authority,
    home: TempDir,
    pods: Arc<Pods>,
    desired: watch::Receiver<Arc<State>>,
    running: JoinHandle<()>,
}

impl Rigged {
    async fn new(pods: Pods, certified_at: i64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::listen().await;
        let identity = authority.identity(&disk(), home.path(), OWN, certified_at);
        Self::with(authority, home, pods, identity)
    }

    fn with(authority: Authority, home: TempDir, pods: Pods, identity: Identity) -> Self {
        let sources = Sources::system().unwrap();
        let file = DesiredFile::new(Arc::clone(&sources.files), home.path());
        let pause = PauseFile::new(Arc::clone(&sources.files), home.path());
        let kept = file.load().unwrap().map(Arc::new);
        let desired = watch::Sender::new(kept.clone().unwrap_or_default());
        let (workers, clock) = (sources.workers.clone(), Arc::clone(&sources.clock));
        let rounds = Rounds::new(Arc::new(Willing), OWN, file, pause, kept, workers, clock);
        let (pods, seen) = (Arc::new(pods), desired.subscribe());
        let (standing, work) = (rounds.standing(), rounds.run(desired.subscribe()));
        let context = SessionContext {
            own: OWN,
            desired,
            standing,
            paths: None,
            pods: Arc::clone(&pods),
            kernel_release: "6.1".to_owned(),
            sources,
        };
        let running = tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                _ = run(&context, identity) => {}
            }
        });
        Self {
            authority,
            home,
            pods,
            desired: seen,
            running,
        }
    }

    /// The next connection, up to its hello.
    async fn connection(&self) -> (Peer, Hello) {
        let mut peer = Peer(timeout(PATIENCE, self.authority.accept()).await.unwrap());
        match peer.next().await {
            In::Hello(hello) => (peer, hello),
            other => panic!("{other:?}"),
        }
    }

    /// A connection that has the state at `revision`, with its first reports heard.
    async fn settled(&self, revision: u64) -> Peer {
        let (mut peer, _) = self.connection().await;
        peer.send(Out::Welcome(welcome(false, 0))).await;
        peer.send(Out::Snapshot(snapshot(revision))).await;
        peer.send(Out::Progress(Progress {
            head: revision,
            position: None,
            ..Progress::default()
        }))
        .await;
        let (mut applied, mut reported) = (false, false);
        while !(applied && reported) {
            match peer.next().await {
                In::Applied(told) => applied = told.revision == revision,
                In::Pods(report) => {
                    reported = true;
                    peer.send(Out::PodAck(PodAck {
                        seq: report.seq,
                        refused: vec![],
                    }))
                    .await;
                }
                other => panic!("{other:?}"),
            }
        }
        peer
    }
}

impl Drop for Rigged {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The control plane's end.
struct Peer(Socket);

impl Peer {
    async fn send(&mut self, message: Out) {
        let frame = ToAgent { message: Some(message) }.encode_to_vec();
        self.0.send(Message::Binary(frame.into())).await.unwrap();
    }

    async fn next(&mut self) -> In {
        loop {
            match timeout(PATIENCE, self.0.next())
                .await
                .expect("a frame")
                .expect("no end")
                .unwrap()
            {
                Message::Binary(frame) => return FromAgent::decode(frame).unwrap().message.unwrap(),
                Message::Close(_) => panic!("closed"),
                _ => {}
            }
        }
    }

    async fn report(&mut self) -> PodReport {
        match self.next().await {
            In::Pods(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it ends without another frame but reports.
    async fn ends(&mut self) {
        while let Some(Ok(_)) = timeout(PATIENCE, self.0.next()).await.expect("an end") {}
    }
}

fn welcome(resumed: bool, pod_seq: u64) -> Welcome {
    Welcome {
        protocol: 1,
        store_id: STORE.to_vec(),
        head: 5,
        resumed,
        pod_seq,
        pod_report_part: 0,
        ..Welcome::default()
    }
}

/// A cluster in which this node leases a block with 64 addresses.
fn snapshot(revision: u64) -> Snapshot {
    let prefix = |last: u8, length| Prefix {
        address: vec![10, 1, 0, last],
        length,
    };
    let block = Block {
        id: vec![10; 16],
        node_id: OWN.as_bytes().to_vec(),
        prefix: Some(prefix(0, 26)),
        ..Block::default()
    };
    let cluster = Cluster {
        id: vec![9; 16],
        pod_ranges: vec![prefix(0, 16)],
        mtu: 1500,
        ..Cluster::default()
    };
    Snapshot {
        revision,
        cluster: Some(cluster),
        blocks: vec![block],
        ..Snapshot::default()
    }
}

fn roomy() -> Pods {
    Rig::new(&["10.1.0.0/26"]).pods
}

#[tokio::test]
async fn the_state_is_taken_kept_told_and_gone_on_from() {
    let rig = Rigged::new(roomy(), now()).await;
    let (mut peer, hello) = rig.connection().await;
    assert_eq!((hello.desired_revision, hello.protocol), (0, PROTOCOL));
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.send(Out::Snapshot(snapshot(5))).await;
    peer.send(Out::Progress(Progress {
        head: 6,
        position: None,
        ..Progress::default()
    }))
    .await;
    let report = loop {
        match peer.next().await {
            In::Pods(report) => break report,
            In::Applied(told) => assert!(told.exceptions.is_empty()),
            other => panic!("{other:?}"),
        }
    };
    assert!(report.full, "the first report of a process is of everything");
    peer.send(Out::PodAck(PodAck {
        seq: 0,
        refused: vec![],
    }))
    .await;
    peer.send(Out::Change(Change {
        revision: 8,
        drop_blocks: vec![vec![10; 16]],
        ..Change::default()
    }))
    .await;
    loop {
        if let In::Applied(told) = peer.next().await
            && told.revision == 8
        {
            break;
        }
    }
    drop(peer);

    // What is on disk is what it goes on from, by the digest that the control plane would have.
    let kept = DesiredFile::new(disk(), rig.home.path()).load().unwrap().unwrap();
    let (mut peer, hello) = rig.connection().await;
    assert_eq!((hello.store_id.as_slice(), hello.desired_revision), (&STORE[..], 8));
    assert_eq!(hello.desired_digest, kept.older_digest());
    assert_eq!(hello.digest, kept.digest());
    assert_eq!(hello.applied_revision, 8);
    // A state that is current moves with the first mark, and the control plane hears of it.
    peer.send(Out::Welcome(welcome(true, 0))).await;
    peer.send(Out::Progress(Progress {
        head: 20,
        position: None,
        ..Progress::default()
    }))
    .await;
    loop {
        match peer.next().await {
            In::Applied(told) if told.revision == 20 => break,
            In::Applied(told) => assert_eq!(told.revision, 8),
            other => panic!("nothing else is new: {other:?}"),
        }
    }
}

#[tokio::test]
async fn changes_that_came_to_another_state_than_the_control_plane_had_sent_are_noticed() {
    let rig = Rigged::new(roomy(), now()).await;
    drop(rig.settled(5).await);
    let right = rig.desired.borrow().digest().to_vec();
    let mark = |digest: Vec<u8>| {
        Out::Progress(Progress {
            head: 8,
            digest,
            ..Progress::default()
        })
    };
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(true, 0))).await;
    peer.send(mark(right)).await;
    peer.send(mark(vec![1; 32])).await;
    peer.ends().await;
    // It says where it is, and so is sent all of it.
    let (_peer, hello) = rig.connection().await;
    assert_eq!(hello.desired_revision, 8);
}

#[tokio::test]
async fn an_older_state_of_the_same_store_is_refused() {
    let rig = Rigged::new(roomy(), now()).await;
    drop(rig.settled(5).await);
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.send(Out::Snapshot(Snapshot {
        blocks: vec![],
        ..snapshot(4)
    }))
    .await;
    peer.ends().await;
    assert_eq!(rig.desired.borrow().own_blocks(OWN), 1);
    // Another store begins anew.
    let (mut peer, hello) = rig.connection().await;
    assert_eq!(hello.desired_revision, 5);
    peer.send(Out::Welcome(Welcome {
        store_id: vec![8; 16],
        ..welcome(false, 0)
    }))
    .await;
    peer.send(Out::Snapshot(Snapshot {
        blocks: vec![],
        ..snapshot(2)
    }))
    .await;
    let mut desired = rig.desired.clone();
    let anew = timeout(PATIENCE, desired.wait_for(|state| state.revision() == 2)).await;
    assert_eq!(anew.unwrap().unwrap().own_blocks(OWN), 0);
}

#[tokio::test]
async fn a_torn_state_on_disk_leads_to_a_snapshot() {
    let rig = Rigged::new(roomy(), now()).await;
    drop(rig.settled(5).await);
    let path = rig.home.path().join("desired.bin");
    let whole = std::fs::read(&path).unwrap();
    rig.running.abort();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
    std::fs::copy(&path, home.path().join("desired.bin")).unwrap();
    let identity = authority.identity(&disk(), home.path(), OWN, now());
    let again = Rigged::with(authority, home, roomy(), identity);
    let (_, hello) = again.connection().await;
    assert_eq!(hello.desired_revision, 0);
    drop(again);
    let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
    std::fs::write(home.path().join("desired.bin"), whole).unwrap();
    let identity = authority.identity(&disk(), home.path(), OWN, now());
    let (_, hello) = Rigged::with(authority, home, roomy(), identity).connection().await;
    assert_eq!(hello.desired_revision, 5);
}

#[tokio::test]
async fn a_removed_node_stays_away_and_remembers() {
    let mut rig = Rigged::new(roomy(), now()).await;
    let mut peer = rig.settled(5).await;
    let refused = Refused {
        code: "node.removed".into(),
        sentence: "Removed.".into(),
        retry: false,
    };
    peer.send(Out::Refused(refused)).await;
    timeout(PATIENCE, &mut rig.running).await.unwrap().unwrap();
    assert!(Identity::load(&disk(), rig.home.path()).unwrap().unwrap().is_removed());
}

#[tokio::test]
async fn a_block_is_asked_for_at_low_water_and_once() {
    let rig = Rigged::new(Rig::new(&["10.1.0.0/28"]).pods, now()).await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.send(Out::Snapshot(snapshot(5))).await;
    peer.send(Out::Progress(Progress {
        head: 5,
        position: None,
        ..Progress::default()
    }))
    .await;
    let asked = loop {
        match peer.next().await {
            In::Blocks(request) => break request,
            In::Pods(report) => {
                peer.send(Out::PodAck(PodAck {
                    seq: report.seq,
                    refused: vec![],
                }))
                .await
            }
            _ => {}
        }
    };
    assert_eq!(asked.have, 1);
    // With two blocks, of which the pods know one only yet, it does not ask for a third.
    let block = Block {
        id: vec![11; 16],
        ..snapshot(5).blocks[0].clone()
    };
    peer.send(Out::Change(Change {
        revision: 6,
        put_blocks: vec![block],
        ..Change::default()
    }))
    .await;
    loop {
        match peer.next().await {
            In::Applied(told) if told.revision == 6 => break,
            In::Blocks(request) => panic!("{request:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_at_half_its_life_and_used_next() {
    let old = now() - 4 * 24 * 3600 * 1_000_000;
    let rig = Rigged::new(roomy(), old).await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    let csr = loop {
        match peer.next().await {
            In::Renew(request) => break request.csr,
            In::Pods(report) => {
                peer.send(Out::PodAck(PodAck {
                    seq: report.seq,
                    refused: vec![],
                }))
                .await
            }
            _ => {}
        }
    };
    let certificate = rig.authority.sign(&csr);
    peer.send(Out::Renewed(Renewed {
        certificate: certificate.clone(),
    }))
    .await;
    drop(peer);
    let (peer, _) = rig.connection().await;
    assert_eq!(
        peer.0.get_ref().get_ref().1.peer_certificates().unwrap()[0].as_ref(),
        certificate
    );
    assert!(
        Identity::load(&disk(), rig.home.path())
            .unwrap()
            .unwrap()
            .certificate_age(now())
            < Duration::from_secs(3600)
    );
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_ends_the_connection() {
    let rig = Rigged::new(roomy(), now()).await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Snapshot(snapshot(5))).await;
    peer.ends().await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.ends().await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 0))).await;
    peer.send(Out::Snapshot(Snapshot {
        cluster: None,
        ..snapshot(5)
    }))
    .await;
    peer.ends().await;
    assert_eq!(rig.desired.borrow().revision(), 0);
}
