//! One agent, from its start to its end: it first applies the state that is on disk, then connects to the control
//! plane.
//!
//! Generic over the [`Machine`] it runs on.

mod joining;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portolan_sources::{FileLock, Files, Listener, Workers};
use portolan_wire::token::BadToken;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::cni;
use crate::converge::Rounds;
use crate::desired::disk::DesiredFile;
use crate::host::Host;
use crate::identity::{Identity, IdentityError, JoinError};
use crate::kernel::KernelError;
use crate::machine::{Machine, MachineError};
use crate::options::Run;
use crate::pause::PauseFile;
use crate::pods::Pods;
use crate::probes::Prober;
use crate::stream::{self, Left, SessionContext};
use joining::Renewals;

/// The environment variable that a join token may be in, if it is not in a file.
pub const TOKEN_VARIABLE: &str = "PORTOLAN_JOIN_TOKEN";

/// How often the agent looks for sandboxes that are gone without a DEL.
const SANDBOXES_EVERY: Duration = Duration::from_secs(30);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory, or a file in it.
    #[error("cannot use {}", path.display())]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The host.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Another agent uses the state directory.
    #[error("another agent runs with the state directory {}", .0.display())]
    Taken(PathBuf),
    /// The host's addresses cannot be read.
    #[error("cannot read the host's addresses")]
    Kernel(#[from] KernelError),
    /// The socket of the CNI plugin.
    #[error("cannot listen on {}", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// The operating system's error.
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
        let lock = lock(&*machine.sources.files, &options.state_dir)?;
        let path = options.state_dir.join("pods.log");
        let sources = &machine.sources;
        let opened = Pods::open(
            &*sources.files,
            &path,
            machine.kernel.clone(),
            sources.ids(),
            Arc::clone(&sources.sync_thread),
        );
        let pods = opened.map_err(|source| RunError::State { path, source })?;
        Ok(Self {
            machine,
            options,
            join_token,
            pods: Arc::new(pods),
            _lock: lock,
        })
    }

    /// Runs until `shutdown` completes. CNI calls are answered from the first moment on, and those under way at the end
    /// are still answered. The kernel is left as it is.
    ///
    /// # Errors
    /// If the socket or the state directory cannot be used, or the host has no token to join with. What the control plane
    /// refuses does not end it.
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
            biased;
            () = shutdown => Ok(()),
            outcome = self.live() => outcome,
        };
        end.send_replace(true);
        // Wait until the calls under way are answered. A panic of the task does not matter any more.
        let _ = answering.await;
        tracing::info!("ends; the kernel stays as it is");
        outcome
    }

    /// Runs as one node after another: a host that joins as another node begins anew. One that joins again as the node that
    /// it was keeps what it has heard: where the control plane was put back, it alone may know of others' leases.
    async fn live(&self) -> Result<(), RunError> {
        let mut was = None;
        loop {
            let identity = self.identity().await?;
            let node = identity.node();
            if was.replace(node).is_some_and(|was| was != node) {
                tracing::warn!("this host is another node now");
                self.forget_desired()?;
            }
            self.live_as(identity).await?;
        }
    }

    /// Runs as this node, until the host joins again.
    async fn live_as(&self, identity: Identity) -> Result<(), RunError> {
        let own = identity.node();
        self.pods.set_removed(identity.is_removed());
        tracing::info!(node = %own, cluster = %identity.cluster(), "this host is a node");
        let (file, sources) = (self.desired_file(), &self.machine.sources);
        let kept = file.load().map_err(|source| state_error(&file, source))?.map(Arc::new);
        let desired = watch::Sender::new(kept.clone().unwrap_or_default());
        let host = Host::new(self.machine.kernel.clone(), Arc::clone(&self.pods));
        let (workers, clock) = (sources.workers.clone(), Arc::clone(&sources.clock));
        let pause = PauseFile::new(Arc::clone(&sources.files), &self.options.state_dir);
        let rounds = Rounds::new(Arc::new(host), own, file, pause, kept, workers, clock);
        let standing = rounds.standing();
        let rounds = rounds.run(desired.subscribe());
        let prober = self.machine.probes.as_ref().map(|net| {
            let (random, workers) = (Arc::clone(&sources.random), sources.workers.clone());
            Prober::new(own, Arc::clone(net), Arc::clone(&self.pods), random, workers)
        });
        let paths = prober.as_ref().map(Prober::told);
        let state = desired.subscribe();
        let probing = async move {
            match prober {
                Some(prober) => prober.run(state).await,
                None => std::future::pending().await,
            }
        };
        let context = SessionContext {
            own,
            desired,
            standing,
            paths,
            pods: Arc::clone(&self.pods),
            kernel_release: self.machine.kernel_release.clone(),
            sources: sources.clone(),
        };
        let connection = async {
            let (mut identity, mut left, mut tries) = (identity, None, Renewals::default());
            loop {
                if identity.is_removed() {
                    self.pods.set_removed(true);
                    match self.removed(&context, identity).await {
                        Some(again) => identity = again,
                        None => return,
                    }
                }
                let refused = left == Some(Left::Expired);
                identity = self.certified(identity, refused, &mut tries).await;
                if identity.node() != own {
                    return;
                }
                if !identity.is_removed() {
                    let (back, why) = stream::run(&context, identity).await;
                    (identity, left) = (back, Some(why));
                }
            }
        };
        let keeping = async { tokio::join!(rounds, sandboxes(&self.pods, &sources.workers), probing) };
        tokio::select! {
            biased;
            _ = keeping => Ok(()),
            () = connection => Ok(()),
        }
    }

    /// The desired state of the old node means nothing to the new one.
    fn forget_desired(&self) -> Result<(), RunError> {
        let file = self.desired_file();
        file.remove().map_err(|source| state_error(&file, source))
    }

    fn desired_file(&self) -> DesiredFile {
        DesiredFile::new(Arc::clone(&self.machine.sources.files), &self.options.state_dir)
    }
}

async fn answer(listener: Box<dyn Listener>, pods: Arc<Pods>, workers: Workers, mut ended: watch::Receiver<bool>) {
    let shutdown = async {
        let _ = ended.wait_for(|ended| *ended).await;
    };
    cni::serve(listener, pods, workers, shutdown).await;
}

/// Looks every [`SANDBOXES_EVERY`] for sandboxes that are gone without a DEL.
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

/// Forgets who the host in this state directory was, and what was wanted of it. What its pods were given stays written down.
///
/// # Errors
/// If an agent uses the state directory, or the disk does not do it.
pub fn forget(files: &Arc<dyn Files>, state_dir: &Path) -> Result<(), RunError> {
    let _lock = lock(&**files, state_dir)?;
    Identity::forget(files, state_dir)?;
    let file = DesiredFile::new(Arc::clone(files), state_dir);
    file.remove().map_err(|source| state_error(&file, source))
}

/// Locks the state directory: only one agent may use it.
fn lock(files: &dyn Files, state_dir: &Path) -> Result<FileLock, RunError> {
    let failed = |source| RunError::State {
        path: state_dir.to_owned(),
        source,
    };
    files.make_folder(state_dir).map_err(failed)?;
    let lock = files.lock(&state_dir.join("lock")).map_err(failed)?;
    lock.ok_or_else(|| RunError::Taken(state_dir.to_owned()))
}

fn state_error(file: &DesiredFile, source: io::Error) -> RunError {
    RunError::State {
        path: file.path().to_owned(),
        source,
    }
}
