//! `portolan-lab`: the lab's command line.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand};
use portolan_lab::echo;
use portolan_lab::janitor::{self, Orders};
use portolan_lab::lab::{Lab, LabError, Options};
use portolan_lab::names::LabId;
use portolan_lab::netns::{self, Namespace};
use portolan_lab::protocol::{self, Report, Request};
use portolan_lab::rights::{self, EXIT_NO_LAB};
use portolan_lab::serve::serve;
use portolan_lab::signals::EndSignals;
use portolan_lab::topology::MAX_HOSTS_OF_CLUSTER;

/// Hosts on one machine, as network namespaces: a demo and test bed of Portolan with real agents and real packets.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Raise a lab and keep it until Ctrl-C: hosts, control plane, agents, a cluster, pods.
    ///
    /// Clusters created meanwhile with nodes from the lab get their hosts by themselves, and lose them with their nodes.
    ///
    /// Log-ins: demo / demo-portolan (a customer), support / support-portolan (decides shadowport requests), admin /
    /// admin-portolan.
    ///
    /// Prints a line `ready {json}` when everything stands. Exit code 77: this machine or user cannot have a lab.
    Up(Up),
    /// Say whether a lab may be made here; exit code 77 and a sentence if not.
    Check,
    /// Show a running lab as JSON.
    Status(Of),
    /// Make or take away a pod, by a real CNI call.
    #[command(subcommand)]
    Pod(PodVerb),
    /// Kill or start a host's agent.
    #[command(subcommand)]
    Agent(AgentVerb),
    /// Kill or start the control plane.
    #[command(subcommand)]
    Control(ControlVerb),
    /// Run a command inside a host or a pod.
    Exec(Exec),
    /// The program in the pods: tells whoever asks (HTTP or a line over TCP) their address; UDP comes back as sent.
    Echo {
        /// What it calls itself.
        #[arg(long, default_value = "echo")]
        name: String,
        /// The port, TCP and UDP.
        #[arg(long, default_value_t = echo::PORT)]
        port: u16,
    },
    #[command(hide = true)]
    Janitor(Orders),
}

#[derive(Debug, Args)]
struct Up {
    /// Where console and API listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the database, the agents' states and the logs go.
    #[arg(long)]
    state_dir: PathBuf,
    /// Where the control plane stores everything, such as postgres://USER@HOST/NAME; by default a file in the state
    /// directory.
    #[arg(long)]
    database: Option<String>,
    /// How many hosts the demo's cluster is made with (at most 16); clusters made later bring theirs. With 0 there is a
    /// control plane alone, which needs no rights.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_HOSTS_OF_CLUSTER)))]
    hosts: u8,
    /// How many pods, dealt to the hosts in turn.
    #[arg(long, default_value_t = 6)]
    pods: u16,
    /// The lab's name, 1 to 12 of a-z and 0-9; from the process id by default.
    #[arg(long)]
    name: Option<LabId>,
    /// Say in words what stands, rather than `ready {json}`.
    #[arg(long)]
    words: bool,
}

/// Which lab.
#[derive(Debug, Args)]
struct Of {
    /// The state directory it was started with.
    #[arg(long)]
    state_dir: PathBuf,
}

/// Which host of it.
#[derive(Debug, Args)]
struct On {
    #[command(flatten)]
    lab: Of,
    /// The cluster the host is a node of, by name or id; the demo's by default.
    #[arg(long)]
    cluster: Option<String>,
    /// The host, such as node-1.
    #[arg(long)]
    host: String,
}

#[derive(Debug, Subcommand)]
enum PodVerb {
    /// Make one.
    Add {
        #[command(flatten)]
        on: On,
        /// Its name.
        #[arg(long)]
        name: String,
    },
    /// Take one away.
    Del {
        #[command(flatten)]
        lab: Of,
        /// The cluster of the host it is on, by name or id; the demo's by default.
        #[arg(long)]
        cluster: Option<String>,
        /// The host it is on.
        #[arg(long)]
        host: Option<String>,
        /// Its name.
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum AgentVerb {
    /// Kill it, as a crash would.
    Kill(On),
    /// Start it again.
    Start(On),
}

#[derive(Debug, Subcommand)]
enum ControlVerb {
    /// Kill it, as a crash would.
    Kill(Of),
    /// Start it again, on the database that is there by then.
    Start(Of),
}

#[derive(Debug, Args)]
struct Exec {
    #[command(flatten)]
    lab: Of,
    /// The host's cluster, by name or id; the demo's by default.
    #[arg(long)]
    cluster: Option<String>,
    /// The host to stand in.
    #[arg(long, required_unless_present = "pod")]
    host: Option<String>,
    /// The pod to stand in.
    #[arg(long)]
    pod: Option<String>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Verb::Up(options) => return up(options),
        Verb::Check => return check().err().unwrap_or(ExitCode::SUCCESS),
        Verb::Status(lab) => ask(&lab, &Request::Status),
        Verb::Pod(PodVerb::Add { on, name }) => on.ask(|cluster, host| Request::PodAdd { cluster, host, name }),
        Verb::Pod(PodVerb::Del {
            lab,
            cluster,
            host,
            name,
        }) => ask(&lab, &Request::PodDel { cluster, host, name }),
        Verb::Agent(AgentVerb::Kill(on)) => on.ask(|cluster, host| Request::AgentKill { cluster, host }),
        Verb::Agent(AgentVerb::Start(on)) => on.ask(|cluster, host| Request::AgentStart { cluster, host }),
        Verb::Control(ControlVerb::Kill(lab)) => ask(&lab, &Request::ControlKill),
        Verb::Control(ControlVerb::Start(lab)) => ask(&lab, &Request::ControlStart),
        Verb::Exec(exec) => run_inside(&exec),
        Verb::Echo { name, port } => echo::run(&name, port).map_err(Into::into),
        Verb::Janitor(orders) => janitor::run(orders).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

/// An error on its way to a person.
type Failure = Box<dyn std::error::Error>;

fn failed(error: &dyn std::error::Error) -> ExitCode {
    say(format_args!("portolan-lab: {error}"));
    ExitCode::FAILURE
}

/// A line on stderr; nobody is left to hear that it cannot be written.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn check() -> Result<(), ExitCode> {
    rights::check().map_err(|missing| {
        say(format_args!("portolan-lab: no lab here: {missing}"));
        ExitCode::from(EXIT_NO_LAB)
    })
}

fn up(up: Up) -> ExitCode {
    // First of all, so that a signal at any moment from here on ends with everything cleared away.
    let signals = match EndSignals::hold() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    if up.hosts > 0
        && let Err(code) = check()
    {
        return code;
    }
    let options = Options {
        listen: up.listen,
        state_dir: up.state_dir,
        database: up.database,
        hosts: up.hosts,
        pods: usize::from(up.pods),
        id: up.name.unwrap_or_else(|| LabId::from_number(std::process::id())),
    };
    let raised = Lab::raise(options, &signals, |stage| say(format_args!("lab: {stage}")));
    let mut lab = match raised {
        Ok(lab) => lab,
        Err(LabError::Asked) => return ExitCode::SUCCESS,
        Err(error) => return failed(&error),
    };
    let served = lab.open_control().and_then(|listener| {
        let report = lab.report();
        let printed = if up.words {
            print(&in_words(&report))
        } else {
            print(&ready(&report))
        };
        printed.map_err(|source| LabError::Io {
            what: "say that the lab is ready".into(),
            source,
        })?;
        serve(&mut lab, &listener, &signals)
    });
    if io::stderr().is_terminal() {
        say(format_args!("\nlab: ending"));
    }
    lab.end();
    served.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn ready(report: &Report) -> String {
    format!("ready {}", serde_json::json!(report))
}

fn in_words(report: &Report) -> String {
    use std::fmt::Write;
    let mut text = format!("\n  Portolan is at {}\n\n  log in as\n", report.url);
    // Writing to a String cannot fail.
    for user in &report.users {
        let _ = writeln!(
            text,
            "    {:<8} password {:<16} project {}",
            user.name, user.password, user.project
        );
    }
    let mut cluster = None;
    for host in &report.hosts {
        if cluster != Some(&host.cluster) {
            let _ = writeln!(text, "\n  cluster {}", host.cluster.name);
            cluster = Some(&host.cluster);
        }
        let pods = report.pods.iter();
        let pods = pods.filter(|pod| pod.host == host.name && pod.cluster == host.cluster.id);
        let pods: Vec<_> = pods.map(|pod| format!("{} {}", pod.name, pod.address)).collect();
        let _ = writeln!(text, "    {:<8} {:<14} {}", host.name, host.address, pods.join(", "));
    }
    let _ = write!(
        text,
        "\n  state and logs: {}\n  Ctrl-C ends it and takes everything away.",
        report.state_dir.display()
    );
    text
}

fn ask(lab: &Of, request: &Request) -> Result<(), Failure> {
    let report = protocol::ask(&lab.state_dir, request)?;
    print(&serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

impl On {
    fn ask(self, request: impl FnOnce(Option<String>, String) -> Request) -> Result<(), Failure> {
        ask(&self.lab, &request(self.cluster, self.host))
    }
}

fn run_inside(exec: &Exec) -> Result<(), Failure> {
    let report = protocol::ask(&exec.lab.state_dir, &Request::Status)?;
    let namespace = match (&exec.pod, &exec.host) {
        (Some(pod), _) => {
            let found = report.pods.iter().find(|there| there.name == *pod);
            &found
                .ok_or_else(|| format!("there is no pod {pod} in this lab"))?
                .namespace
        }
        (None, Some(host)) => &report.hosts[report.host(exec.cluster.as_deref(), host)?].namespace,
        (None, None) => return Err("say --host or --pod".into()),
    };
    netns::enter(Namespace::named(namespace.as_str()).open()?)?;
    let mut words = exec.command.iter();
    let program = words.next().ok_or("no command")?;
    Err(format!("{program}: {}", Command::new(program).args(words).exec()).into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
