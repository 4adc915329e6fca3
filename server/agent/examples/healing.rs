//! How soon what others take away from a host is back:
//!
//! `cargo run --release -p portolan-agent --example healing [PODS] [ROUTES] [TRIES]`
//!
//! Needs root and iproute2, and leaves nothing behind, as `rounds`. A time begins before the command
//! that does the damage is started and ends when the agent says that all is back; each try has an
//! agent of its own, since healing is not done more than three times a minute. In brackets, the time
//! from the kernel's first announcement on.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod support;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_agent::converge::{Rounds, Standing};
use portolan_agent::desired::disk::DesiredFile;
use portolan_agent::host::Host;
use portolan_agent::kernel::{Kernel, Netlink};
use portolan_agent::machine::Sources;
use portolan_agent::pause::PauseFile;
use portolan_agent::pods::Pods;
use portolan_plan::{Foreign, plan};
use portolan_shared::losses::LossKind;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use support::{Failure, OWN, Scratch, ip};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Failure> {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let number = |at: usize, usual: u32| numbers.get(at).copied().unwrap_or(usual);
    support::leave()?;
    let scratch = Scratch::new("healing", number(0, 250) as usize)?;
    measure(&scratch, number(1, 2000), number(2, 20))
}

/// A kernel, its pods, and what is wanted of it.
struct Bench<'a> {
    runtime: Runtime,
    kernel: Arc<Netlink>,
    pods: Arc<Pods>,
    state: portolan_agent::desired::State,
    folder: &'a Path,
}

/// What one try took.
struct Try {
    whole: Duration,
    announced: Duration,
}

fn measure(scratch: &Scratch, routes: u32, tries: u32) -> Result<(), Failure> {
    let (kernel, pods) = support::open(&scratch.log())?;
    let bench = Bench {
        runtime: tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?,
        kernel,
        pods,
        state: support::state(routes, true, 1)?,
        folder: &scratch.folder,
    };
    let host = Host::new(bench.kernel.clone(), bench.pods.clone());
    host.converge(&bench.state.desired(OWN))?;
    scratch.fill(&bench.pods)?;
    let listing = bench.pods.list()?;
    let link = listing
        .allocations
        .first()
        .map(|pod| pod.link.clone())
        .unwrap_or_default();
    let up_again = scratch.folder.join("up-again");
    // A kernel takes an IPv6 address away with its link.
    std::fs::write(
        &up_again,
        "link set eth0 down\nlink set eth0 up\naddr add fd77::1/64 dev eth0 nodad\n",
    )?;
    let pod_again = scratch.folder.join("pod-again");
    std::fs::write(&pod_again, format!("link set {link} down\nlink set {link} up\n"))?;
    let flush = || ip("-4 route flush proto 157").and_then(|()| ip("-6 route flush proto 157"));
    let off = || Ok(std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")?);
    let batch = |file: &Path| ip(&format!("-batch {}", file.display()));
    let mut out = io::stdout();
    let mut each = |what: &str, kind: LossKind, damage: &dyn Fn() -> Result<(), Failure>| -> Result<(), Failure> {
        let mut all = Vec::new();
        for _ in 0..tries {
            all.push(bench.heal(kind, damage)?);
        }
        let of = |time: fn(&Try) -> Duration| {
            let mut times: Vec<f64> = all.iter().map(|one| time(one).as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2], times[times.len() - 1])
        };
        let ((median, most), (own, own_most)) = (of(|one| one.whole), of(|one| one.announced));
        writeln!(
            out,
            "{what:34} median {median:6.1} ms, max {most:6.1} ms  ({own:.0} and {own_most:.0} ms)"
        )?;
        Ok(())
    };
    each("flush of all routes", LossKind::Routes, &flush)?;
    each("forwarding off", LossKind::Forwarding, &off)?;
    each("gateway gone", LossKind::Gateway, &|| {
        ip("addr del 169.254.1.1/32 dev lo")
    })?;
    each("link down and up", LossKind::Uplink, &|| batch(&up_again))?;
    each("a pod's link down and up, with IPv6", LossKind::PodLink, &|| {
        batch(&pod_again)
    })?;
    Ok(())
}

impl Bench<'_> {
    /// An agent on the host, until it is dropped: what it says, and what keeps it going.
    fn agent(&self) -> Result<Agent, Failure> {
        let sources = Sources::system()?;
        let host = Arc::new(Host::new(self.kernel.clone(), self.pods.clone()));
        let pause = PauseFile::new(Arc::clone(&sources.files), self.folder);
        let file = DesiredFile::new(sources.files, self.folder);
        let rounds = Rounds::new(host, OWN, file, pause, None, sources.workers, sources.clock);
        let standing = rounds.standing();
        let (desired, receiver) = watch::channel(Arc::new(self.state.clone()));
        let task = self.runtime.spawn(rounds.run(receiver));
        let mut agent = Agent {
            standing,
            task,
            _desired: desired,
        };
        self.until(&mut agent, |standing| {
            standing.revision > 0 && standing.exceptions.is_empty()
        })?;
        Ok(agent)
    }

    fn until(&self, agent: &mut Agent, says: impl FnMut(&Standing) -> bool) -> Result<Standing, Failure> {
        self.runtime.block_on(async {
            let waited = tokio::time::timeout(PATIENCE, agent.standing.wait_for(says)).await;
            Ok(waited.map_err(|_| "not in time")??.clone())
        })
    }

    fn heal(&self, kind: LossKind, damage: &dyn Fn() -> Result<(), Failure>) -> Result<Try, Failure> {
        let mut agent = self.agent()?;
        let begin = Instant::now();
        damage()?;
        let standing = self.until(&mut agent, |standing| {
            let over = standing.losses.iter().all(|loss| loss.back_after_ms.is_some());
            over && standing.exceptions.is_empty() && standing.losses.iter().any(|loss| loss.kind == kind)
        })?;
        // A long command may still be at work when the first of its damage is healed.
        while !self.is_whole()? {
            if begin.elapsed() > PATIENCE {
                return Err("not healed in time".into());
            }
            std::thread::yield_now();
        }
        let whole = begin.elapsed();
        let announced = standing.losses.iter().filter_map(|loss| loss.back_after_ms).max();
        Ok(Try {
            whole,
            announced: Duration::from_millis(announced.unwrap_or(0)),
        })
    }

    /// Whether a round would find nothing to do.
    fn is_whole(&self) -> Result<bool, Failure> {
        let observed = self.kernel.observe()?;
        let desired = self.state.desired(OWN);
        Ok(plan(&desired, &[], &observed, &Foreign::default())
            .steps
            .iter()
            .all(|step| step.change.removes())
            && observed.routes.len() == self.routes())
    }

    fn routes(&self) -> usize {
        let desired = self.state.desired(OWN);
        // And one to this node's end of probes.
        1 + desired.own_blocks.len()
            + desired.remote_blocks.len()
            + self.pods.list().map_or(0, |all| 2 * all.allocations.len())
    }
}

struct Agent {
    standing: watch::Receiver<Standing>,
    task: tokio::task::JoinHandle<()>,
    _desired: watch::Sender<Arc<portolan_agent::desired::State>>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
