//! What the agent is told when it is started.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use portolan_cni_protocol::DEFAULT_SOCKET;
use portolan_shared::addr::Cidr;

use crate::kernel::PROBE_NAMESPACE;

/// Keeps this host's network as the control plane wants it, and answers CNI calls.
#[derive(Debug, Parser)]
#[command(name = "portolan-agent", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Action,
}

/// What the agent can do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Runs until SIGTERM or SIGINT, which leave the kernel as it is.
    Run(Run),
    /// Forgets which node this host was, so that it joins anew with a token: for a machine that was copied from another, or
    /// put back to an older state. Pods that run are left alone. The agent must not run meanwhile.
    Rejoin(Rejoin),
    /// Pauses healing: the agent of this state directory, running or started later, changes nothing that others have changed,
    /// nor anything else but for pods that begin and end, and its node says by whom and since when. Within a second.
    Pause(Pause),
    /// Ends that.
    Resume(Resume),
    /// Says what on this host will hurt once an agent runs on it, and changes nothing. A line each: what, why it hurts, what
    /// may be done. Ends with 0 if nothing hurts, with 1 if something will, with 2 if it could not look at everything.
    Check(Check),
}

/// Options of `pause`.
#[derive(Debug, Clone, Args)]
pub struct Pause {
    /// Where the agent keeps its state.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portolan")]
    pub state_dir: PathBuf,

    /// Who pauses it, a name for people.
    #[arg(long, value_name = "NAME", env = "SUDO_USER", default_value = "root")]
    pub by: String,
}

/// Options of `resume`.
#[derive(Debug, Clone, Args)]
pub struct Resume {
    /// Where the agent keeps its state.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portolan")]
    pub state_dir: PathBuf,
}

/// Options of `check`.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Where the agent keeps its state, or will.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portolan")]
    pub state_dir: PathBuf,

    /// The range that the cluster gives its pods addresses from; several times for several ranges. With it, routes of others
    /// inside of it are found, and what is advised names it.
    #[arg(long, value_name = "CIDR")]
    pub range: Vec<Cidr>,

    /// Writes files into the folders of the programs that it finds (systemd-networkd, NetworkManager, firewalld, Docker), by
    /// which they leave the agent's things alone, and says what is to be run for them to heed it; ufw is told by its own
    /// commands alone. What is written is printed before. A file that another has written is left alone.
    #[arg(long, requires = "range")]
    pub write_drop_ins: bool,

    /// Takes those files away.
    #[arg(long, conflicts_with = "write_drop_ins")]
    pub remove_drop_ins: bool,

    /// Says it as JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Options of `rejoin`.
#[derive(Debug, Clone, Args)]
pub struct Rejoin {
    /// Where the agent keeps its identity.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portolan")]
    pub state_dir: PathBuf,
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Where the agent keeps its identity, the desired state and the pods' addresses.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portolan")]
    pub state_dir: PathBuf,

    /// The socket that the CNI plugin talks to.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub cni_socket: PathBuf,

    /// The network namespace from which this node probes others as its pods would, and answers them: the agent makes it, and
    /// keeps it when it ends.
    #[arg(long, value_name = "PATH", default_value = PROBE_NAMESPACE)]
    pub probe_netns: PathBuf,

    /// A file with the join token, for a host that has not joined yet, or was off for longer than its
    /// certificate lasts (7 days). The environment variable
    /// PORTOLAN_JOIN_TOKEN does instead; a token is never an argument, since everybody sees those.
    #[arg(long, value_name = "FILE")]
    pub join_token_file: Option<PathBuf>,

    /// The name this host wants in its cluster [default: its host name].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// This host's address in the cluster's node subnet [default: the one that is in it].
    #[arg(long, value_name = "IP")]
    pub address: Vec<IpAddr>,
}
