//! One agent, from its start to its end: what is on disk is made true first, then the control plane
//! is looked for.
//!
//! Generic over the [`Machine`] it runs on.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portolan_sources::{FileLock, Files, Listener, Workers};
use portolan_wire::error_chain;
use portolan_wire::token::{BadToken, JoinToken};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cni;
use crate::converge::Rounds;
use crate::desired::disk::DesiredFile;
use crate::host::Host;
use crate::identity::{Identity, IdentityError, JoinError, join};
use crate::kernel::KernelError;
use crate::machine::Machine;
use crate::options::Run;
use crate::pods::Pods;
use crate::stream::backoff::Backoff;
use crate::stream::{self, SessionContext};

/// The environment variable that a join token may be in, if it is not in a file.
pub const TOKEN_VARIABLE: &str = "PORTOLAN_JOIN_TOKEN";

/// How often is looked for sandboxes that are gone without a DEL.
const SANDBOXES_EVERY: Duration = Duration::from_secs(30);

/// How often a node whose certificate has expired looks for a join token that lets it in.
const TOKEN_EVERY: Duration = Duration::from_secs(60);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory, or a file in it.
    #[error("cannot use {}", path.display())]
    State {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another agent uses the state directory.
    #[error("another agent runs with the state directory {}", .0.display())]
    Taken(PathBuf),
    /// The kernel cannot be talked to.
    #[error("cannot talk to the kernel")]
    Kernel(#[from] KernelError),
    /// The socket of the CNI plugin.
    #[error("cannot listen on {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The host has not joined and has no token.
    #[error("this host has not joined a cluster: give a join token by --join-token-file or {TOKEN_VARIABLE}")]
    NoToken,
    /// The token is none.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// The control plane refuses the host.
    #[error("cannot join")]
    Join(#[from] JoinError),
    /// The operating system gives no signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

/// An agent: it holds the state directory from when it is opened until it is dropped.
pub struct Agent {
    machine: Machine,
    options: Run,
    /// What [`TOKEN_VARIABLE`] holds.
    join_token: Option<String>,
    pods: Arc<Pods>,
    _lock: FileLock,
}

impl Agent {
    /// Takes the state directory and reads the pods in it. `join_token` is what [`TOKEN_VARIABLE`]
    /// holds, if it is set.
    ///
    /// # Errors
    /// If the state directory cannot be used, or another agent uses it.
    pub fn open(machine: Machine, options: Run, join_token: Option<String>) -> Result<Self, RunError> {
        let lock = lock(&*machine.sources.files, &options)?;
        let path = options.state_dir.join("pods.log");
        let pods = machine
            .sources
            .files
            .open_log(&path)
            .and_then(|log| Pods::open(log, machine.kernel.clone(), machine.sources.ids()))
            .map_err(|source| RunError::State { path, source })?;
        Ok(Self {
            machine,
            options,
            join_token,
            pods: Arc::new(pods),
            _lock: lock,
        })
    }

    /// Runs until `shutdown` completes. CNI calls are answered from the first moment on; those under
    /// way are answered still. The kernel is left as it is.
    ///
    /// # Errors
    /// If the socket cannot be had, or the control plane refuses to let the host join.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let path = &self.options.cni_socket;
        let listening = self.machine.sources.net.listen_local(path);
        let listener = listening.map_err(|source| RunError::Socket {
            path: path.clone(),
            source,
        })?;
        let (end, ended) = watch::channel(false);
        let workers = self.machine.sources.workers.clone();
        let answering = tokio::spawn(answer(listener, Arc::clone(&self.pods), workers, ended));
        let outcome = tokio::select! {
            outcome = self.live() => outcome,
            () = shutdown => Ok(()),
        };
        end.send_replace(true);
        // Calls under way are answered; that the task has panicked changes nothing any more.
        let _ = answering.await;
        tracing::info!("ends; the kernel stays as it is");
        outcome
    }

    /// As one node after another: a host that is let in as another node begins anew.
    async fn live(&self) -> Result<(), RunError> {
        loop {
            let identity = self.identity().await?;
            self.live_as(identity).await?;
        }
    }

    /// As this node, until it is another.
    async fn live_as(&self, identity: Identity) -> Result<(), RunError> {
        let own = identity.node();
        tracing::info!(node = %own, cluster = %identity.cluster(), "this host is a node");
        let (file, sources) = (self.desired_file(), &self.machine.sources);
        let kept = file.load().map_err(|source| state_error(&file, source))?.map(Arc::new);
        let desired = watch::Sender::new(kept.clone().unwrap_or_default());
        let host = Host::new(self.machine.kernel.clone(), Arc::clone(&self.pods));
        let rounds = Rounds::new(Arc::new(host), own, file, kept, sources.workers.clone());
        let standing = rounds.standing();
        let rounds = rounds.run(desired.subscribe());
        let removed = identity.is_removed();
        let context = SessionContext {
            own,
            desired,
            standing,
            pods: Arc::clone(&self.pods),
            kernel_release: self.machine.kernel_release.clone(),
            sources: sources.clone(),
        };
        let connection = async {
            if removed {
                tracing::error!("this node was removed from its cluster; a new join token lets it join anew");
            } else {
                let identity = self.certified(identity).await;
                if identity.node() != own {
                    return;
                }
                stream::run(&context, identity).await;
            }
            pending::<()>().await;
        };
        let keeping = async { tokio::join!(rounds, sandboxes(&self.pods, &sources.workers)) };
        tokio::select! {
            () = connection => {
                tracing::warn!("this host is another node now");
                self.forget_desired()
            }
            _ = keeping => Ok(()),
        }
    }

    /// An identity whose certificate is valid. One that has expired (the host was off for long) is
    /// certified again by a join token, for the key it has; meanwhile the network stays as it is.
    async fn certified(&self, identity: Identity) -> Identity {
        let mut told = false;
        while identity.has_expired(self.machine.sources.clock.now()) {
            let joined = match self.token() {
                Ok(token) => self.join(&token).await,
                Err(error) => Err(error),
            };
            match joined {
                Ok(joined) => return joined,
                Err(error) if !told => {
                    tracing::error!(
                        reason = %error_chain(&error),
                        "this node's certificate has expired; a join token for it lets it in again"
                    );
                    told = true;
                }
                Err(_) => {}
            }
            sleep(TOKEN_EVERY).await;
        }
        identity
    }

    /// What the old node was to be is nothing to the new one.
    fn forget_desired(&self) -> Result<(), RunError> {
        let file = self.desired_file();
        file.remove().map_err(|source| state_error(&file, source))
    }

    fn desired_file(&self) -> DesiredFile {
        DesiredFile::new(Arc::clone(&self.machine.sources.files), &self.options.state_dir)
    }

    /// Who this host is; it joins if it is nobody yet.
    async fn identity(&self) -> Result<Identity, RunError> {
        match Identity::load(&self.machine.sources.files, &self.options.state_dir)? {
            Some(identity) if !identity.is_removed() => Ok(identity),
            Some(removed) => match self.token() {
                Err(RunError::NoToken) => Ok(removed),
                token => {
                    let joined = self.join(&token?).await?;
                    self.forget_desired().map(|()| joined)
                }
            },
            None => self.join(&self.token()?).await,
        }
    }

    async fn join(&self, token: &JoinToken) -> Result<Identity, RunError> {
        let name = self.options.name.as_deref().unwrap_or(&self.machine.host_name);
        let (sources, state_dir) = (&self.machine.sources, &self.options.state_dir);
        let mut backoff = Backoff::default();
        loop {
            let addresses = self.addresses()?;
            match join(sources, state_dir, token, name, &addresses).await {
                Ok(identity) => {
                    tracing::info!(name, endpoint = identity.endpoint(), "joined");
                    return Ok(identity);
                }
                Err(error) if error.may_pass() => {
                    tracing::warn!(reason = %error_chain(&error), "cannot join yet; trying again");
                    sleep(backoff.next(u32::MAX)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn token(&self) -> Result<JoinToken, RunError> {
        let Some(path) = &self.options.join_token_file else {
            let text = self.join_token.as_deref().ok_or(RunError::NoToken)?;
            return Ok(JoinToken::parse(text)?);
        };
        let failed = |source| RunError::State {
            path: path.clone(),
            source,
        };
        let content = self.machine.sources.files.read(path).map_err(failed)?;
        let content = content.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let text = String::from_utf8(content).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
        Ok(JoinToken::parse(&text)?)
    }

    /// The addresses that may become the node's.
    fn addresses(&self) -> Result<Vec<IpAddr>, RunError> {
        if !self.options.address.is_empty() {
            return Ok(self.options.address.clone());
        }
        let addresses = self.machine.kernel.observe()?.addresses;
        Ok(addresses.into_keys().filter(is_of_the_host).collect())
    }
}

/// Whether others may reach the host at an address.
fn is_of_the_host(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !link_local
}

async fn answer(listener: Box<dyn Listener>, pods: Arc<Pods>, workers: Workers, mut ended: watch::Receiver<bool>) {
    let shutdown = async {
        let _ = ended.wait_for(|ended| *ended).await;
    };
    cni::serve(listener, pods, workers, shutdown).await;
}

/// Looks again and again for sandboxes that are gone without a DEL.
async fn sandboxes(pods: &Arc<Pods>, workers: &Workers) {
    let mut ticks = interval(SANDBOXES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let pods = Arc::clone(pods);
        if let Ok(freed) = workers.run(move || pods.reconcile_sandboxes()).await {
            for pod in freed {
                tracing::info!(id = %pod.id, pod = pod.pod_name, "the sandbox is gone: freed its addresses");
            }
        }
    }
}

/// One agent a state directory.
fn lock(files: &dyn Files, options: &Run) -> Result<FileLock, RunError> {
    let state_dir = &options.state_dir;
    let failed = |source| RunError::State {
        path: state_dir.clone(),
        source,
    };
    files.make_folder(state_dir).map_err(failed)?;
    let lock = files.lock(&state_dir.join("lock")).map_err(failed)?;
    lock.ok_or_else(|| RunError::Taken(state_dir.clone()))
}

fn state_error(file: &DesiredFile, source: io::Error) -> RunError {
    RunError::State {
        path: file.path().to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::{SinkExt as _, StreamExt as _};
    use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId};
    use portolan_sources::testing::{MemoryFiles, SeededRandom, SetClock};
    use portolan_sources::{Clock as _, SystemClock, SystemNet};
    use portolan_wire::agent::{
        Block, Cluster, FromAgent, JoinReply, JoinRequest, Prefix, Progress, Role, Snapshot, ToAgent, Welcome,
        from_agent, join_reply::Outcome, to_agent,
    };
    use portolan_wire::token::Secret;
    use prost::Message as _;
    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::identity::CERTIFICATE_LIFE;
    use crate::identity::testing::{Authority, Peer};
    use crate::kernel::fake::FakeKernel;
    use crate::machine::Sources;

    const PATIENCE: Duration = Duration::from_secs(20);
    const OWN: NodeId = NodeId::from_bytes([1; 16]);

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
            let sources = Sources {
                clock: Arc::new(self.clock.clone()),
                random: Arc::new(SeededRandom::new(1)),
                files: self.disk(),
                net: Arc::new(SystemNet),
                workers: Workers::default(),
            };
            let machine = Machine {
                sources,
                kernel: self.kernel.clone(),
                host_name: "node-1".to_owned(),
                kernel_release: "6.1".to_owned(),
            };
            let options = Run {
                state_dir: "/state".into(),
                cni_socket: self.home.path().join("cni.sock"),
                join_token_file: None,
                name: None,
                address: vec![[10, 0, 0, 11].into()],
            };
            let token = JoinToken {
                endpoint: self.authority.address.to_string(),
                ca_sha256: self.authority.key_sha256(),
                cluster: ClusterId::from_bytes([2; 16]),
                role: Role::Node,
                expires_at: 0,
                id: JoinTokenId::from_bytes([3; 16]),
                secret: Secret::new([4; 32]),
            };
            Agent::open(machine, options, Some(token.text()))
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
    async fn a_node_that_was_off_for_longer_than_its_certificate_lasts_comes_back_with_a_token() {
        let rig = Rig::new().await;
        let now = rig.clock.now();
        let long_ago = now - i64::try_from(CERTIFICATE_LIFE.as_micros()).unwrap() - 1_000_000;
        let before = rig.authority.identity(&rig.disk(), Path::new("/state"), OWN, long_ago);
        let agent = rig.open().unwrap();
        let playing = async {
            let request = rig.let_in().await;
            assert_eq!(request.csr[3..100], before.request().unwrap()[3..100], "the key it has");
            assert_eq!(request.node_name, "node-1");
            // And then it connects as any node.
            rig.connected().await;
        };
        tokio::select! {
            ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
            done = timeout(PATIENCE, playing) => done.unwrap(),
        }
        let kept = Identity::load(&rig.disk(), Path::new("/state")).unwrap().unwrap();
        assert_eq!(kept.node(), OWN);
        assert!(!kept.has_expired(now));
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
                }],
                ..Snapshot::default()
            };
            tell(&mut peer, to_agent::Message::Snapshot(snapshot)).await;
            tell(&mut peer, to_agent::Message::Progress(Progress { head: 5 })).await;
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
        // The kernel in memory has no switches, and says so; the block's own route is there.
        assert_eq!(exceptions.len(), 1);
        assert_eq!(exceptions[0].kind, "node");
        let seen = rig.kernel.state.lock().seen.clone();
        let routes: Vec<String> = seen.routes.keys().map(|key| key.prefix.to_string()).collect();
        assert_eq!(routes, ["10.1.0.0/26"]);
        // What it has heard is on its disk, and its state directory is its own while it is there.
        let file = DesiredFile::new(rig.disk(), Path::new("/state"));
        assert_eq!(file.load().unwrap().unwrap().revision(), 5);
        assert!(matches!(rig.open(), Err(RunError::Taken(_))));
        drop(agent);
        rig.open().unwrap();
    }
}
