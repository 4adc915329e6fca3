//! The lab itself: raises everything in order, changes it on request, and takes it all away.

mod hosts;
mod pods;
mod provider;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use hosts::{Host, Hosts};
use pods::Pod;
use provider::Provider;
use rustix::process::Signal;

use crate::api::nodes::Admin;
use crate::api::{Api, ApiError, setup};
use crate::binaries::{Binaries, MissingBinary};
use crate::children::{ChildError, Running, inherit};
use crate::cni::CniError;
use crate::ip::IpError;
use crate::janitor::Janitor;
use crate::names::LabId;
use crate::protocol::{self, Cluster, NoSuchHost, Report, Request, User, Whereabouts};
use crate::records::private_dir;
use crate::runtime::{self, Runtime, RuntimeError};
use crate::signals::EndSignals;
use crate::topology;
use crate::wait::until;

/// How long the control plane may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(20);
/// How long nodes may take until they are online.
const ONLINE_WITHIN: Duration = Duration::from_secs(30);
/// What everything together gets to end by itself.
const END_WITHIN: Duration = Duration::from_millis(1_200);

/// What kind of lab is wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where console and API listen.
    pub listen: SocketAddr,
    /// Where the database, the agents' states and the logs go.
    pub state_dir: PathBuf,
    /// What the control plane stores everything in, if that is not a file in `state_dir`.
    pub database: Option<String>,
    /// How many hosts the demo's cluster is to have when it is made. With none, nothing is made that needs any rights:
    /// there is a control plane, and that is all.
    pub hosts: u8,
    /// How many pods, dealt to the hosts in turn.
    pub pods: usize,
    /// The lab's name.
    pub id: LabId,
}

/// Why a lab could not be raised, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Somebody asked it to end while it was being raised.
    #[error("asked to end")]
    Asked,
    /// A program is missing.
    #[error(transparent)]
    Binary(#[from] MissingBinary),
    /// A program of the lab failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// `ip` failed.
    #[error(transparent)]
    Ip(#[from] IpError),
    /// The control plane refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The CNI plugin refused.
    #[error(transparent)]
    Cni(#[from] CniError),
    /// The lab's name or its leftovers are in the way.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file system or the network refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The refusal.
        source: io::Error,
    },
    /// Hosts do not come to stand.
    #[error("{0}")]
    Hosts(String),
    /// There is no such host.
    #[error(transparent)]
    NoSuchHost(#[from] NoSuchHost),
    /// The request makes no sense in this lab.
    #[error("{0}")]
    Request(String),
}

fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    let what = what.into();
    move |source| LabError::Io { what, source }
}

/// A lab, raised or being raised. Dropping it ends it.
#[derive(Debug)]
pub struct Lab {
    options: Options,
    runtime: Runtime,
    janitor: Janitor,
    control: Option<Running>,
    users: Vec<User>,
    /// The demo's cluster.
    cluster: Option<Cluster>,
    provider: Option<Provider>,
    hosts: Hosts,
    tell: fn(&str),
    ended: bool,
}

impl Lab {
    /// Clears dead labs away, claims the name, and makes everything; `tell` is told each stage, and later whatever
    /// happens to hosts. On an error or when asked to end, everything made so far is taken away again.
    pub fn raise(options: Options, signals: &EndSignals, tell: fn(&str)) -> Result<Self, LabError> {
        let binaries = Binaries::find()?;
        let root = runtime::root();
        let swept = runtime::sweep(&root)?;
        for id in swept.cleared {
            tell(&format!("cleared away the lab {id}, whose process is dead"));
        }
        for (id, error) in swept.stuck {
            tell(&format!("the dead lab {id} could not be cleared away: {error}"));
        }
        let runtime = Runtime::claim(&root, options.id.clone())?;
        let janitor = match Janitor::start(&binaries.lab, &root, &runtime) {
            Ok(janitor) => janitor,
            Err(error) => {
                runtime.clear()?;
                return Err(at("start the janitor")(error));
            }
        };
        let logs = options.state_dir.join("logs");
        let hosts = Hosts::new(options.id.clone(), binaries, runtime.dir().to_owned(), logs);
        let mut lab = Self {
            options,
            runtime,
            janitor,
            control: None,
            users: Vec::new(),
            cluster: None,
            provider: None,
            hosts,
            tell,
            ended: false,
        };
        lab.make(signals)?;
        Ok(lab)
    }

    fn make(&mut self, signals: &EndSignals) -> Result<(), LabError> {
        let Options { hosts, pods, .. } = self.options;
        let tell = self.tell;
        let state = self.options.state_dir.clone();
        private_dir(&state.join("logs")).map_err(at(state.display().to_string()))?;
        let state = fs::canonicalize(&state).map_err(at(state.display().to_string()))?;
        self.hosts.logs = state.join("logs");
        self.options.state_dir.clone_from(&state);

        if hosts > 0 {
            tell("networks: a switch, the provider's service network");
            self.hosts.lay()?;
        }
        tell("control plane");
        // Else whoever has the address would be taken for it, and be told the passwords.
        drop(TcpListener::bind(self.options.listen).map_err(at(format!("listen on {}", self.options.listen)))?);
        let api = Api::new(self.options.listen);
        self.start_control()?;
        self.wait(signals, START_WITHIN, "answer", |_| api.healthy())?;
        self.cluster = api.prepare(u32::from(hosts))?;
        self.users = setup::users();
        let Some(cluster) = self.cluster.clone() else {
            return Ok(());
        };

        tell(&format!("{hosts} hosts for the cluster {}", cluster.name));
        self.provider = Some(Provider::start(Admin::new(api), state.join("hosts"), tell)?);
        self.wait(signals, ONLINE_WITHIN, "see all nodes online", |lab| {
            let provider = lab.provider.as_ref();
            provider.is_some_and(|provider| provider.ready(&cluster.id))
        })?;

        tell(&format!("{pods} pods"));
        let report = self.report();
        let mut names: Vec<_> = report
            .hosts
            .iter()
            .filter(|host| host.cluster.id == cluster.id)
            .collect();
        names.sort_by_key(|host| (host.name.len(), &host.name));
        for (index, host) in (0..pods).zip(names.iter().cycle()) {
            if signals.asked() {
                return Err(LabError::Asked);
            }
            let host = report.host(None, &host.name)?;
            self.hosts.pod_add(host, &format!("web-{}", index + 1))?;
        }
        Ok(())
    }

    fn start_control(&mut self) -> Result<(), LabError> {
        let mut command = Command::new(&self.hosts.binaries.control);
        command
            .arg("serve")
            .args(["--listen", &self.options.listen.to_string()]);
        let file = self.options.state_dir.join("portolan.db");
        let database = self.options.database.clone();
        command
            .arg("--database")
            .arg(database.unwrap_or_else(|| format!("sqlite:{}", file.display())));
        command.env("PORTOLAN_ADMIN_PASSWORD", crate::api::ADMIN_PASSWORD);
        if self.options.hosts > 0 {
            let endpoint = SocketAddr::from((topology::ENDPOINT, topology::ENDPOINT_PORT));
            let listener: OwnedFd = self.hosts.endpoint()?.into();
            command
                .arg("--agent-listen")
                .arg(format!("fd:{}", listener.as_raw_fd()));
            command.args(["--agent-advertise", &endpoint.to_string()]);
            command
                .arg("--ca-key")
                .arg(self.options.state_dir.join("portolan.db.ca.key"));
            command.args(["--node-provider", "lab"]);
            inherit(&mut command, listener);
        }
        let log = self.hosts.logs.join("portolan.log");
        self.control = Some(Running::start("the control plane", command, None, log)?);
        Ok(())
    }

    /// Looks until `look` is true, while hosts are made and nothing that must run has ended.
    fn wait(
        &mut self,
        signals: &EndSignals,
        limit: Duration,
        what: &'static str,
        look: impl Fn(&Self) -> bool,
    ) -> Result<(), LabError> {
        let seen = until(limit, || {
            if signals.asked() {
                return Err(LabError::Asked);
            }
            self.all_alive()?;
            self.turn();
            Ok(look(self).then_some(()))
        })?;
        if seen.is_some() {
            return Ok(());
        }
        let troubles = self.provider.as_ref().map_or_else(Vec::new, Provider::troubles);
        match &self.control {
            Some(control) if troubles.is_empty() => Err(control.late(what, limit).into()),
            _ => Err(LabError::Hosts(troubles.join("\n"))),
        }
    }

    /// An error if the control plane ended and nobody had asked for that: without it there is no lab.
    pub fn all_alive(&mut self) -> Result<(), ChildError> {
        self.control.iter_mut().try_for_each(Running::alive)
    }

    /// Makes or takes away the next host that is to be. Whether there was one: then there may be more.
    pub fn turn(&mut self) -> bool {
        let provider = self.provider.as_mut();
        provider.is_some_and(|provider| provider.turn(&mut self.hosts))
    }

    /// What becomes readable when there may be hosts to make or take away.
    pub fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.provider.as_ref().map(Provider::bell)
    }

    /// How long there is nothing to do otherwise.
    pub fn idle(&self) -> Option<Duration> {
        self.provider.as_ref().and_then(Provider::idle)
    }

    /// Opens the control socket and writes down where it is.
    pub fn open_control(&self) -> Result<UnixListener, LabError> {
        let control = self.runtime.dir().join("control.sock");
        let listener = UnixListener::bind(&control).map_err(at(control.display().to_string()))?;
        fs::set_permissions(&control, Permissions::from_mode(0o600)).map_err(at(control.display().to_string()))?;
        let whereabouts = serde_json::to_vec(&Whereabouts {
            pid: std::process::id(),
            control,
        });
        let file = self.options.state_dir.join(protocol::FILE);
        whereabouts
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&file, text))
            .map_err(at("lab.json"))?;
        Ok(listener)
    }

    /// Does what somebody asked over the control socket.
    pub fn handle(&mut self, request: &Request) -> Result<Report, LabError> {
        let report = self.report();
        let find = |cluster: &Option<String>, host: &str| report.host(cluster.as_deref(), host);
        match request {
            Request::Status => {}
            Request::PodAdd { cluster, host, name } => self.hosts.pod_add(find(cluster, host)?, name)?,
            Request::PodDel { cluster, host, name } => {
                let host = host.as_ref().map(|host| find(cluster, host)).transpose()?;
                self.hosts.pod_del(host, name)?;
            }
            Request::AgentKill { cluster, host } => {
                let agent = self.hosts.all[find(cluster, host)?].agent.take();
                let mut agent = agent.ok_or_else(|| not_running(host))?;
                agent.signal(Signal::KILL);
                agent.finish(Instant::now() + END_WITHIN);
            }
            Request::AgentStart { cluster, host } => {
                let index = find(cluster, host)?;
                let Host { key, agent, .. } = &self.hosts.all[index];
                if let Some(agent) = agent {
                    let pid = agent.pid();
                    return Err(LabError::Request(format!(
                        "the agent of {host} runs already, as process {pid}"
                    )));
                }
                let provider = self.provider.as_ref();
                let token = provider
                    .map(|provider| provider.token(key))
                    .ok_or_else(|| not_running(host))?;
                self.hosts.start_agent(index, &token)?;
            }
            Request::ControlKill => {
                let control = self.control.take();
                let mut control = control.ok_or_else(|| LabError::Request("the control plane does not run".into()))?;
                control.signal(Signal::KILL);
                control.finish(Instant::now() + END_WITHIN);
            }
            Request::ControlStart => {
                if let Some(control) = &self.control {
                    let pid = control.pid();
                    return Err(LabError::Request(format!(
                        "the control plane runs already, as process {pid}"
                    )));
                }
                self.start_control()?;
            }
        }
        Ok(self.report())
    }

    /// Everything there is now.
    pub fn report(&self) -> Report {
        Report {
            name: self.runtime.id().to_string(),
            pid: std::process::id(),
            url: format!("http://{}", self.options.listen),
            users: self.users.clone(),
            cluster: self.cluster.clone(),
            hosts: self.hosts.report(),
            pods: self.hosts.pods.iter().map(Pod::report).collect(),
            state_dir: self.options.state_dir.clone(),
        }
    }

    /// Ends every program, removes every namespace, and forgets the lab. What cannot be removed is told to stderr.
    pub fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let deadline = Instant::now() + END_WITHIN;
        self.provider = None;
        let agents = self.hosts.all.iter_mut().filter_map(|host| host.agent.as_mut());
        let mut polite: Vec<_> = self.control.iter_mut().chain(agents).collect();
        polite.iter().for_each(|running| running.signal(Signal::TERM));
        for pod in &mut self.hosts.pods {
            pod.echo.signal(Signal::KILL);
            pod.echo.finish(deadline);
        }
        polite.iter_mut().for_each(|running| running.finish(deadline));
        let _ = fs::remove_file(self.options.state_dir.join(protocol::FILE));
        match self.runtime.clear() {
            Ok(()) => self.janitor.dismiss(),
            // Then the janitor tries once more, when this process has ended.
            Err(error) => drop(writeln!(io::stderr(), "portolan-lab: {error}")),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end();
    }
}

fn not_running(host: &str) -> LabError {
    LabError::Request(format!("the agent of {host} does not run"))
}
