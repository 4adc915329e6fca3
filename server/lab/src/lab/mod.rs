//! The lab itself: raises everything in order, changes it on request, and takes it all away.

mod pods;

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pods::Pod;
use rustix::process::Signal;

use crate::api::{Api, ApiError, Demo};
use crate::binaries::{Binaries, MissingBinary};
use crate::children::{ChildError, Running, inherit};
use crate::cni::CniError;
use crate::echo;
use crate::ip::{self, IpError};
use crate::janitor::Janitor;
use crate::names::LabId;
use crate::netns::Namespace;
use crate::protocol::{self, Report, Request, Whereabouts};
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
    /// How many hosts. With none, nothing is made that needs any rights: there is a control plane, and that is all.
    pub hosts: usize,
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
    /// The request makes no sense in this lab.
    #[error("{0}")]
    Request(String),
}

fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    let what = what.into();
    move |source| LabError::Io { what, source }
}

#[derive(Debug)]
struct Host {
    name: String,
    namespace: Namespace,
    address: IpAddr,
    socket: PathBuf,
    state: PathBuf,
    agent: Option<Running>,
}

/// A lab, raised or being raised. Dropping it ends it.
#[derive(Debug)]
pub struct Lab {
    options: Options,
    binaries: Binaries,
    runtime: Runtime,
    janitor: Janitor,
    control: Option<Running>,
    demo: Option<Demo>,
    hosts: Vec<Host>,
    pods: Vec<Pod>,
    sandboxes: u64,
    ended: bool,
}

impl Lab {
    /// Clears dead labs away, claims the name, and makes everything; `tell` is told each stage. On an error or when
    /// asked to end, everything made so far is taken away again.
    pub fn raise(options: Options, signals: &EndSignals, tell: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        let binaries = Binaries::find()?;
        let root = runtime::root();
        for id in runtime::sweep(&root)? {
            tell(&format!("cleared away the lab {id}, whose process is dead"));
        }
        let runtime = Runtime::claim(&root, options.id.clone())?;
        let janitor = match Janitor::start(&binaries.lab, &root, &runtime) {
            Ok(janitor) => janitor,
            Err(error) => {
                runtime.clear()?;
                return Err(at("start the janitor")(error));
            }
        };
        let mut lab = Self {
            options,
            binaries,
            runtime,
            janitor,
            control: None,
            demo: None,
            hosts: Vec::new(),
            pods: Vec::new(),
            sandboxes: 0,
            ended: false,
        };
        lab.make(signals, tell)?;
        Ok(lab)
    }

    fn make(&mut self, signals: &EndSignals, tell: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let Options { hosts, pods, .. } = self.options;
        let state = self.options.state_dir.clone();
        private_dir(&state)?;
        private_dir(&state.join("logs"))?;
        self.options.state_dir = fs::canonicalize(&state).map_err(at(state.display().to_string()))?;

        let names: Vec<String> = (1..=hosts).map(|index| format!("node-{index}")).collect();
        if hosts > 0 {
            tell(&format!(
                "networks: {hosts} hosts, a switch, the provider's service network"
            ));
            self.plug(&names)?;
        }

        tell("control plane");
        // Else whoever has the address would be taken for it, and be told the passwords.
        drop(TcpListener::bind(self.options.listen).map_err(at(format!("listen on {}", self.options.listen)))?);
        let api = Api::new(self.options.listen);
        self.start_control()?;
        self.wait(signals, START_WITHIN, "answer", |_| Ok(api.healthy()))?;
        let demo = api.prepare(hosts > 0)?;
        if hosts == 0 {
            self.demo = Some(demo);
            return Ok(());
        }

        tell("agents");
        for (index, name) in names.iter().enumerate() {
            let node = api.make_node(&demo, name)?;
            self.add_host(index, name, node.address, node.prefix)?;
            self.start_agent(index, node.token.as_deref())?;
        }
        self.wait(signals, ONLINE_WITHIN, "see all nodes online", |_| {
            Ok(api.nodes_online(&demo)? == hosts)
        })?;
        self.demo = Some(demo);

        tell(&format!("{pods} pods"));
        for index in 0..pods {
            if signals.asked() {
                return Err(LabError::Asked);
            }
            let host = names[index % hosts].clone();
            self.pod_add(&host, &format!("web-{}", index + 1))?;
        }
        Ok(())
    }

    fn plug(&self, names: &[String]) -> Result<(), LabError> {
        let id = self.runtime.id();
        ip::batch(None, &topology::namespaces(id, names))?;
        ip::batch(Some(&id.switch()), &topology::cables(id, names))?;
        ip::batch(Some(&id.provider()), &topology::provider())?;
        for (index, name) in names.iter().enumerate() {
            ip::batch(Some(&id.host(name)), &topology::host(index))?;
        }
        Ok(())
    }

    fn start_control(&mut self) -> Result<(), LabError> {
        let mut command = Command::new(&self.binaries.control);
        command
            .arg("serve")
            .args(["--listen", &self.options.listen.to_string()]);
        let database = self.options.state_dir.join("portolan.db");
        command.arg("--database").arg(format!("sqlite:{}", database.display()));
        command.env("PORTOLAN_ADMIN_PASSWORD", crate::api::ADMIN_PASSWORD);
        if self.options.hosts > 0 {
            let endpoint = SocketAddr::from((topology::ENDPOINT, topology::ENDPOINT_PORT));
            let bound = self.runtime.id().provider().within(|| TcpListener::bind(endpoint));
            let listener: OwnedFd = bound
                .and_then(|bound| bound)
                .map_err(at(format!("listen on {endpoint}")))?
                .into();
            command
                .arg("--agent-listen")
                .arg(format!("fd:{}", listener.as_raw_fd()));
            command.args(["--agent-advertise", &endpoint.to_string()]);
            inherit(&mut command, listener);
        }
        self.control = Some(Running::start(
            "the control plane",
            command,
            None,
            self.log("portolan"),
        )?);
        Ok(())
    }

    fn add_host(&mut self, index: usize, name: &str, address: IpAddr, prefix: u8) -> Result<(), LabError> {
        let namespace = self.runtime.id().host(name);
        ip::batch(Some(&namespace), &topology::tenant(&address.to_string(), prefix))?;
        let state = self.options.state_dir.join(name);
        private_dir(&state)?;
        let socket = self.runtime.dir().join(format!("cni{index}.sock"));
        self.hosts.push(Host {
            name: name.to_owned(),
            namespace,
            address,
            socket,
            state,
            agent: None,
        });
        Ok(())
    }

    fn start_agent(&mut self, index: usize, token: Option<&str>) -> Result<(), LabError> {
        let host = &self.hosts[index];
        let mut command = Command::new(&self.binaries.agent);
        command
            .arg("run")
            .arg("--state-dir")
            .arg(&host.state)
            .arg("--cni-socket")
            .arg(&host.socket);
        command.args(["--name", &host.name, "--address", &host.address.to_string()]);
        if let Some(token) = token {
            let path = host.state.join("join.token");
            write_secret(&path, token).map_err(at(path.display().to_string()))?;
            command.arg("--join-token-file").arg(path);
        }
        let log = self.log(&host.name);
        let agent = Running::start(
            &format!("the agent of {}", host.name),
            command,
            Some(&host.namespace),
            log,
        )?;
        self.hosts[index].agent = Some(agent);
        Ok(())
    }

    /// Looks until `look` is true, while nothing that should run has ended.
    fn wait(
        &mut self,
        signals: &EndSignals,
        limit: Duration,
        what: &'static str,
        mut look: impl FnMut(&Self) -> Result<bool, LabError>,
    ) -> Result<(), LabError> {
        let seen = until(limit, || {
            if signals.asked() {
                return Err(LabError::Asked);
            }
            self.all_alive()?;
            Ok(look(self)?.then_some(()))
        })?;
        match (seen, &self.control) {
            (None, Some(control)) => Err(control.late(what, limit).into()),
            _ => Ok(()),
        }
    }

    /// An error if a program ended that nobody told to.
    pub fn all_alive(&mut self) -> Result<(), ChildError> {
        let agents = self.hosts.iter_mut().filter_map(|host| host.agent.as_mut());
        self.control.iter_mut().chain(agents).try_for_each(Running::alive)
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
        match request {
            Request::Status => {}
            Request::PodAdd { host, name } => self.pod_add(host, name)?,
            Request::PodDel { host, name } => self.pod_del(host.as_deref(), name)?,
            Request::AgentKill { host } => {
                let index = self.host(host)?;
                let mut agent = self.hosts[index].agent.take().ok_or_else(|| not_running(host))?;
                agent.signal(Signal::KILL);
                agent.finish(Instant::now() + END_WITHIN);
            }
            Request::AgentStart { host } => {
                let index = self.host(host)?;
                if let Some(agent) = &self.hosts[index].agent {
                    let pid = agent.pid();
                    return Err(LabError::Request(format!(
                        "the agent of {host} runs already, as process {pid}"
                    )));
                }
                self.start_agent(index, None)?;
            }
        }
        Ok(self.report())
    }

    fn host(&self, name: &str) -> Result<usize, LabError> {
        let found = self.hosts.iter().position(|host| host.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            LabError::Request(format!("there is no host {name:?}; there are {}", names.join(", ")))
        })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.options.state_dir.join("logs").join(format!("{name}.log"))
    }

    /// Everything there is now.
    pub fn report(&self) -> Report {
        let hosts = self.hosts.iter().map(|host| protocol::Host {
            name: host.name.clone(),
            namespace: host.namespace.name().to_owned(),
            address: host.address,
            agent: host.agent.as_ref().map(Running::pid),
            cni_socket: host.socket.clone(),
        });
        let pods = self.pods.iter().map(|pod| protocol::Pod {
            name: pod.sandbox.pod.clone(),
            host: pod.host.clone(),
            namespace: pod.sandbox.namespace.name().to_owned(),
            address: pod.address,
            echo: SocketAddr::new(pod.address, echo::PORT),
        });
        let demo = self.demo.as_ref();
        Report {
            name: self.runtime.id().to_string(),
            pid: std::process::id(),
            url: format!("http://{}", self.options.listen),
            users: demo.map_or_else(Vec::new, Demo::users),
            cluster: demo.and_then(|demo| demo.cluster.clone()),
            hosts: hosts.collect(),
            pods: pods.collect(),
            state_dir: self.options.state_dir.clone(),
        }
    }

    /// Ends every program, removes every namespace, and forgets the lab. What cannot be removed is told to stderr.
    pub fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let deadline = Instant::now() + END_WITHIN;
        let agents = self.hosts.iter_mut().filter_map(|host| host.agent.as_mut());
        let mut polite: Vec<_> = self.control.iter_mut().chain(agents).collect();
        polite.iter().for_each(|running| running.signal(Signal::TERM));
        for pod in &mut self.pods {
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

fn private_dir(path: &Path) -> Result<(), LabError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(at(path.display().to_string()))
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
