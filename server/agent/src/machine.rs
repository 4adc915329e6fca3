//! What an agent runs on: everything it does not decide itself. A test or a simulation gives it
//! another machine.

use std::io;
use std::path::Path;
use std::sync::Arc;

use portolan_sources::{
    Blocking, Clock, Files, Ids, Net, OwnThread, Random, SystemClock, SystemFiles, SystemNet, SystemRandom,
    SystemStopwatch, Workers,
};

use crate::kernel::{HostKernel, KernelError, Netlink};
use crate::probes::net::ProbeNet;

/// Where time, randomness, files, connections and blocking work come from.
#[derive(Clone)]
pub struct Sources {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// For ids and waits.
    pub random: Arc<dyn Random>,
    /// The disk that the state directory is on.
    pub files: Arc<dyn Files>,
    /// The way to the control plane, and the socket of the CNI plugin.
    pub net: Arc<dyn Net>,
    /// Threads for what blocks.
    pub workers: Workers,
    /// The thread that syncs the pods' log and does nothing else: those who wait for it may hold all
    /// of `workers`.
    pub sync_thread: Arc<dyn Blocking>,
}

/// Stack of the thread that syncs, in bytes.
const SYNC_STACK: usize = 128 << 10;

impl Sources {
    /// The machine's own.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn system() -> io::Result<Self> {
        Ok(Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
            files: Arc::new(SystemFiles),
            net: Arc::new(SystemNet),
            workers: Workers::default(),
            sync_thread: Arc::new(OwnThread::start("pods-sync", SYNC_STACK)?),
        })
    }

    /// New ids by this clock and randomness.
    pub fn ids(&self) -> Ids {
        Ids::new(Arc::clone(&self.clock), Arc::clone(&self.random))
    }
}

/// Why this host cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The kernel cannot be talked to.
    #[error("cannot talk to the kernel")]
    Kernel(#[from] KernelError),
    /// The operating system gives no thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A host.
#[derive(Clone)]
pub struct Machine {
    /// Where the agent's time, files and connections come from.
    pub sources: Sources,
    /// The host's kernel.
    pub kernel: Arc<dyn HostKernel>,
    /// What probes are sent by; absent where there is no network to prove anything of.
    pub probes: Option<Arc<dyn ProbeNet>>,
    /// The name the host gives itself.
    pub host_name: String,
    /// The kernel's release, reported for people who look at the node.
    pub kernel_release: String,
}

impl Machine {
    /// The host that this process runs on, in the network namespace it was started in; its end of probes is in the one at
    /// `probes`.
    ///
    /// # Errors
    /// If the kernel cannot be talked to, or gives no thread.
    pub fn this(probes: &Path) -> Result<Self, MachineError> {
        let sources = Sources::system().map_err(MachineError::Thread)?;
        let kernel = Netlink::open(Arc::new(SystemStopwatch::default()))?.with_probes_at(probes);
        let kernel = Arc::new(kernel);
        let line = |path: &str| first_line(&*sources.files, Path::new(path));
        Ok(Self {
            host_name: line("/proc/sys/kernel/hostname").unwrap_or_else(|| "node".to_owned()),
            kernel_release: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            probes: Some(Arc::new(kernel.probe_net())),
            kernel,
            sources,
        })
    }
}

fn first_line(files: &dyn Files, path: &Path) -> Option<String> {
    let text = String::from_utf8(files.read(path).ok()??).ok()?;
    text.lines().next().map(str::to_owned)
}
