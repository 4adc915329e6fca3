//! The agent's life: what is on disk is made true first, then the control plane is looked for.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portolan_wire::error_chain;
use portolan_wire::token::{BadToken, JoinToken};
use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::converge::Rounds;
use crate::desired::disk;
use crate::host::Host;
use crate::identity::{Identity, IdentityError, JoinError, join};
use crate::kernel::{Kernel, KernelError, Netlink};
use crate::options::Run;
use crate::pods::{self, Pods};
use crate::stream::backoff::Backoff;
use crate::stream::{self, Node, now};
use crate::{cni, files};

/// Where a join token may be, if not in a file.
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
        /// Which file or folder.
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

/// Runs until SIGTERM or SIGINT. The kernel is left as it is.
///
/// # Errors
/// If it cannot start, or the control plane refuses to let the host join.
pub async fn run(options: Run) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let _lock = lock(&options.state_dir)?;
    let (end, ended) = watch::channel(false);
    let mut agent = Agent::open(options)?;
    let listener = cni::bind(&agent.options.cni_socket).map_err(|source| RunError::Socket {
        path: agent.options.cni_socket.clone(),
        source,
    })?;
    let answering = tokio::spawn(answer(listener, Arc::clone(&agent.pods), ended));
    let outcome = tokio::select! {
        outcome = agent.lives() => outcome,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    end.send_replace(true);
    // Calls under way are answered; that the task has panicked changes nothing any more.
    let _ = answering.await;
    tracing::info!("ends; the kernel stays as it is");
    outcome
}

async fn answer(listener: UnixListener, pods: Arc<Pods>, mut ended: watch::Receiver<bool>) {
    let shutdown = async {
        let _ = ended.wait_for(|ended| *ended).await;
    };
    cni::serve(listener, pods, shutdown).await;
}

/// Everything that lives as long as the process.
struct Agent {
    options: Run,
    kernel: Arc<Netlink>,
    pods: Arc<Pods>,
}

impl Agent {
    fn open(options: Run) -> Result<Self, RunError> {
        let kernel = Arc::new(Netlink::open()?);
        let path = options.state_dir.join("pods.log");
        let pods =
            Pods::open(&path, kernel.clone(), pods::new_id).map_err(|source| RunError::State { path, source })?;
        Ok(Self {
            options,
            kernel,
            pods: Arc::new(pods),
        })
    }

    /// One life after another: a host that is let in as another node begins anew.
    async fn lives(&mut self) -> Result<(), RunError> {
        loop {
            let identity = self.identity().await?;
            self.live(identity).await?;
        }
    }

    /// As this node, until it is another.
    async fn live(&mut self, identity: Identity) -> Result<(), RunError> {
        let own = identity.node();
        tracing::info!(node = %own, cluster = %identity.cluster(), "this host is a node");
        let path = self.desired_path();
        let kept = disk::load(&path).map_err(|source| RunError::State {
            path: path.clone(),
            source,
        })?;
        let kept = kept.map(Arc::new);
        let desired = watch::Sender::new(kept.clone().unwrap_or_default());
        let host = Host::new(self.kernel.clone(), Arc::clone(&self.pods));
        let rounds = Rounds::new(Arc::new(host), own, path, kept);
        let standing = rounds.standing();
        let rounds = rounds.run(desired.subscribe());
        let removed = identity.is_removed();
        let node = Node {
            own,
            desired,
            standing,
            pods: Arc::clone(&self.pods),
            kernel: kernel_release(),
        };
        let connection = async {
            if removed {
                tracing::error!("this node was removed from its cluster; a new join token lets it join anew");
            } else {
                let identity = self.certified(identity).await;
                if identity.node() != own {
                    return;
                }
                stream::run(&node, identity).await;
            }
            pending::<()>().await;
        };
        let keeping = async { tokio::join!(rounds, sandboxes(&self.pods)) };
        tokio::select! {
            () = connection => {
                tracing::warn!("this host is another node now");
                self.forget_desired()
            }
            _ = keeping => Ok(()),
        }
    }

    /// An identity whose certificate lives. One that has expired (the host was off for long) is
    /// certified again by a join token, for the key it has; meanwhile the network stays as it is.
    async fn certified(&self, identity: Identity) -> Identity {
        let mut told = false;
        while identity.has_expired(now()) {
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
        let path = self.desired_path();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RunError::State { path, source }),
            _ => Ok(()),
        }
    }

    fn desired_path(&self) -> PathBuf {
        self.options.state_dir.join("desired.bin")
    }

    /// Who this host is; it joins if it is nobody yet.
    async fn identity(&self) -> Result<Identity, RunError> {
        let state_dir = &self.options.state_dir;
        let identity = Identity::load(state_dir)?;
        match identity {
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
        let name = self.options.name.clone().unwrap_or_else(host_name);
        let mut backoff = Backoff::default();
        loop {
            let addresses = self.addresses()?;
            match join(&self.options.state_dir, token, &name, &addresses, now()).await {
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
        let text = match &self.options.join_token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|source| RunError::State {
                path: path.clone(),
                source,
            })?,
            None => std::env::var(TOKEN_VARIABLE).map_err(|_| RunError::NoToken)?,
        };
        Ok(JoinToken::parse(&text)?)
    }

    /// The addresses that may become the node's.
    fn addresses(&self) -> Result<Vec<IpAddr>, RunError> {
        if !self.options.address.is_empty() {
            return Ok(self.options.address.clone());
        }
        let addresses = self.kernel.observe()?.addresses;
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

/// Looks again and again for sandboxes that are gone without a DEL.
async fn sandboxes(pods: &Arc<Pods>) {
    let mut ticks = interval(SANDBOXES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let pods = Arc::clone(pods);
        if let Ok(freed) = spawn_blocking(move || pods.reconcile_sandboxes()).await {
            for pod in freed {
                tracing::info!(id = %pod.id, pod = pod.pod_name, "the sandbox is gone: freed its addresses");
            }
        }
    }
}

/// One agent a state directory; the lock is the process's and goes with it.
fn lock(state_dir: &Path) -> Result<std::fs::File, RunError> {
    let failed = |source| RunError::State {
        path: state_dir.to_owned(),
        source,
    };
    files::folder(state_dir).map_err(failed)?;
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(state_dir.join("lock"));
    let file = file.map_err(failed)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| RunError::Taken(state_dir.to_owned()))?;
    Ok(file)
}

fn host_name() -> String {
    first_line("/proc/sys/kernel/hostname").unwrap_or_else(|| "node".to_owned())
}

fn kernel_release() -> String {
    first_line("/proc/sys/kernel/osrelease").unwrap_or_default()
}

fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId};
    use portolan_wire::agent::{FromAgent, JoinReply, JoinRequest, Role, from_agent, join_reply::Outcome};
    use portolan_wire::token::Secret;
    use prost::Message as _;
    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::identity::CERTIFICATE_LIFE;
    use crate::identity::testing::Authority;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_node_that_was_off_for_longer_than_its_certificate_lasts_comes_back_with_a_token() {
        let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
        let own = NodeId::from_bytes([1; 16]);
        let before = authority.identity(home.path(), own, now() - CERTIFICATE_LIFE - 1);
        let token = JoinToken {
            endpoint: authority.address.to_string(),
            ca_sha256: authority.key_sha256(),
            cluster: ClusterId::from_bytes([2; 16]),
            role: Role::Node,
            expires_at: 0,
            id: JoinTokenId::from_bytes([3; 16]),
            secret: Secret::new([4; 32]),
        };
        let file = home.path().join("token");
        std::fs::write(&file, token.text()).unwrap();
        let mut agent = Agent::open(Run {
            state_dir: home.path().to_owned(),
            cni_socket: home.path().join("cni.sock"),
            join_token_file: Some(file),
            name: Some("node-1".to_owned()),
            address: vec![[10, 0, 0, 11].into()],
        })
        .unwrap();
        let playing = async {
            let mut peer = authority.accept().await;
            let frame = peer.next().await.unwrap().unwrap().into_data();
            let request = JoinRequest::decode(frame).unwrap();
            assert_eq!(request.csr[3..100], before.request().unwrap()[3..100], "the key it has");
            let joined = Outcome::Joined(authority.joined(&request.csr, own));
            let reply = JoinReply { outcome: Some(joined) };
            peer.send(Message::Binary(reply.encode_to_vec().into())).await.unwrap();
            // And then it connects as any node.
            let mut peer = authority.accept().await;
            let frame = peer.next().await.unwrap().unwrap().into_data();
            FromAgent::decode(frame).unwrap().message.unwrap()
        };
        tokio::select! {
            ended = agent.lives() => panic!("it lives on: {ended:?}"),
            said = timeout(PATIENCE, playing) => {
                assert!(matches!(said.unwrap(), from_agent::Message::Hello(_)));
            }
        }
        let kept = Identity::load(home.path()).unwrap().unwrap();
        assert_eq!(kept.node(), own);
        assert!(!kept.has_expired(now()));
    }
}
