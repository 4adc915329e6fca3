//! The command line of `portolan`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use portolan_core::quotas::Quotas;
use portolan_shared::ids::ProjectId;

use crate::nodes::Listen;

/// Portolan's control plane: networks, subnets and ports, and the nodes that make them true.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, about, disable_help_subcommand = true)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Environment variable with the password of the user admin.
pub const ADMIN_PASSWORD: &str = "PORTOLAN_ADMIN_PASSWORD";

const ENVIRONMENT: &str = "Environment:\n  \
    PORTOLAN_ADMIN_PASSWORD  Password of the user admin, used at the first start only; without it, a random\n  \
                           \x20one is made and shown once\n  \
    RUST_LOG                 What is logged to stderr, such as debug or portolan_control=debug [default: info]";

/// What `portolan` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the APIs, the console and the agents
    #[command(after_help = ENVIRONMENT)]
    Serve(Box<Serve>),
}

/// Options of `portolan serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Where clients and browsers are listened for
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where everything is stored: sqlite:PATH or postgres://USER@HOST/NAME; of several hosts with commas
    /// between, the one that takes writes
    #[arg(long, value_name = "URL", default_value = "sqlite:portolan.db")]
    pub database: String,

    /// Password of the user admin at the first start; from the environment alone, since a command line
    /// is seen by everybody
    #[arg(skip)]
    pub admin_password: Option<String>,

    /// Where node agents are listened for: ADDRESS:PORT, or fd:N for a listening socket that was
    /// handed over; without it, no node can join
    #[arg(long, value_name = "ADDRESS:PORT|fd:N")]
    pub agent_listen: Option<Listen>,

    /// What hosts reach the agent endpoint at; it goes into join tokens [default: --agent-listen]
    #[arg(long, value_name = "HOST:PORT", requires = "agent_listen")]
    pub agent_advertise: Option<String>,

    /// Key of the CA that signs nodes' certificates, made at the first start [default: beside the
    /// database]
    #[arg(long, value_name = "FILE", requires = "agent_listen")]
    pub ca_key: Option<PathBuf>,

    /// A project whose nodes go first when all come at once, after a start or a restore; once for each
    #[arg(long, value_name = "PROJECT_ID", requires = "agent_listen")]
    pub first_project: Vec<ProjectId>,

    /// What clients reach this server at, when something in front of it speaks TLS; with https,
    /// cookies are secure and browsers are told to stay with TLS
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// Says that something runs beside this server that makes nodes of clusters that ask for it: a lab
    #[arg(long, value_name = "PROVIDER")]
    pub node_provider: Option<NodeProvider>,

    /// How many days the audit is kept
    #[arg(long, value_name = "DAYS", default_value_t = 396, value_parser = clap::value_parser!(u32).range(1..))]
    pub audit_days: u32,

    /// Most of each a project may have; the project admin has no limits
    #[command(flatten)]
    pub quotas: QuotaOptions,
}

/// What makes nodes, beside join commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NodeProvider {
    /// The lab: hosts as namespaces of this machine
    Lab,
}

/// Quotas; `none` is no limit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Quotas of a project (a number, or none)")]
pub struct QuotaOptions {
    /// Networks
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().networks)]
    pub quota_networks: u64,
    /// Subnets
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().subnets)]
    pub quota_subnets: u64,
    /// Ports that are no pods'
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().ports)]
    pub quota_ports: u64,
    /// Pods
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().pods)]
    pub quota_pods: u64,
    /// Clusters
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().clusters)]
    pub quota_clusters: u64,
    /// Idempotency keys, each remembered for 24 h
    #[arg(long, value_name = "N", value_parser = quota, default_value_t = Quotas::default().keys)]
    pub quota_keys: u64,
}

impl QuotaOptions {
    /// As the core has them.
    pub fn quotas(&self) -> Quotas {
        Quotas {
            networks: self.quota_networks,
            subnets: self.quota_subnets,
            ports: self.quota_ports,
            pods: self.quota_pods,
            clusters: self.quota_clusters,
            keys: self.quota_keys,
        }
    }
}

fn quota(text: &str) -> Result<u64, String> {
    match text {
        "none" => Ok(u64::MAX),
        text => text.parse().map_err(|_| "neither a number nor none".to_owned()),
    }
}

fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'"') => {
            Ok(url.to_owned())
        }
        _ => Err("not http://HOST or https://HOST, without a path".to_owned()),
    }
}

impl Serve {
    /// Where the CA's key is: as said, else beside the database.
    pub fn ca_key(&self) -> PathBuf {
        match (&self.ca_key, self.database.strip_prefix("sqlite:")) {
            (Some(path), _) => path.clone(),
            (None, Some(database)) => PathBuf::from(format!("{database}.ca.key")),
            (None, None) => PathBuf::from("portolan.ca.key"),
        }
    }

    /// What hosts reach the agent endpoint at: as said, else where it listens, if that is a place.
    ///
    /// # Errors
    /// If it must be said.
    pub fn agent_advertise(&self, listen: &Listen) -> Result<String, String> {
        match (&self.agent_advertise, listen) {
            (Some(advertise), _) => Ok(advertise.clone()),
            (None, Listen::Address(address)) if !address.ip().is_unspecified() && address.port() != 0 => {
                Ok(address.to_string())
            }
            (None, _) => Err("say what hosts reach the agent endpoint at: --agent-advertise HOST:PORT".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<Serve, String> {
        let all = ["portolan", "serve"].into_iter().chain(arguments.iter().copied());
        match Options::try_parse_from(all).map_err(|error| error.to_string())?.command {
            Command::Serve(serve) => Ok(*serve),
        }
    }

    #[test]
    fn defaults_and_what_follows_from_them() {
        let options = serve(&["--database", "sqlite:/var/lib/p.db"]).unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(options.ca_key(), PathBuf::from("/var/lib/p.db.ca.key"));
        assert_eq!(options.quotas.quotas(), Quotas::default());
        let listen: Listen = "0.0.0.0:7443".parse().unwrap();
        assert!(options.agent_advertise(&listen).is_err());
        assert_eq!(
            options.agent_advertise(&"10.0.0.1:7443".parse().unwrap()).as_deref(),
            Ok("10.0.0.1:7443")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &["--listen", "nowhere"][..],
            &["--agent-listen", "fd:x"],
            &["--agent-advertise", "a:1"],
            &["--public-url", "ftp://x"],
            &["--public-url", "https://x/path"],
            &["--quota-ports", "many"],
        ] {
            assert!(serve(bad).is_err(), "{bad:?}");
        }
        assert_eq!(serve(&["--quota-ports", "none"]).unwrap().quotas.quota_ports, u64::MAX);
        assert_eq!(
            serve(&["--public-url", "https://x/"]).unwrap().public_url.as_deref(),
            Some("https://x")
        );
    }

    #[test]
    fn the_help_is_whole() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
