//! How a running lab is spoken to: one JSON line there, one back, over a unix socket that `lab.json` in the state
//! directory names.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The file in the state directory that tells how to reach the lab.
pub const FILE: &str = "lab.json";
/// How long a command may take, pods included.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line either side reads, in bytes.
pub const LONGEST: u64 = 1 << 20;

/// Where the lab listens.
#[derive(Debug, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The lab's process.
    pub pid: u32,
    /// Its control socket.
    pub control: PathBuf,
}

/// What a running lab can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Everything there is.
    Status,
    /// Make a pod on a host.
    PodAdd {
        /// The host's cluster, by name or id; the demo's by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// The host.
        host: String,
        /// The new pod.
        name: String,
    },
    /// Take a pod away.
    PodDel {
        /// The host it must be on, if given: of this cluster, by name or id; the demo's by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// The host it must be on, if given.
        host: Option<String>,
        /// Name of the pod.
        name: String,
    },
    /// Kill a host's agent, as a crash would.
    AgentKill {
        /// The host's cluster, by name or id; the demo's by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// The host.
        host: String,
    },
    /// Start a host's agent again.
    AgentStart {
        /// The host's cluster, by name or id; the demo's by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// The host.
        host: String,
    },
    /// Kill the control plane, as a crash would.
    ControlKill,
    /// Start the control plane again, on the database that is there by then.
    ControlStart,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; this is what there is now.
    Ok(Box<Report>),
    /// Not done, and why.
    Error(String),
}

/// A running lab, as `ready`, `status` and every command show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The lab's name.
    pub name: String,
    /// The lab's process.
    pub pid: u32,
    /// The console and the API.
    pub url: String,
    /// Who can log in.
    pub users: Vec<User>,
    /// The demo's cluster; none without hosts.
    pub cluster: Option<Cluster>,
    /// The hosts, of all clusters that take their nodes from the lab.
    pub hosts: Vec<Host>,
    /// The pods, in order of creation.
    pub pods: Vec<Pod>,
    /// Database, agents' states, logs.
    pub state_dir: PathBuf,
}

/// Somebody who can log in to the lab's control plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The password: a lab has no secrets.
    pub password: String,
    /// The project to log in to.
    pub project: String,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// As the control plane has it (UUID).
    pub id: String,
    /// Unique in its project only.
    pub name: String,
    /// The project it is in.
    pub project_id: String,
}

/// A host of the lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Host {
    /// Its name as a node: unique in its cluster.
    pub name: String,
    /// The cluster it is a node of.
    pub cluster: Cluster,
    /// Its network namespace.
    pub namespace: String,
    /// Its address on the cluster's network.
    pub address: IpAddr,
    /// Its agent's process, if that runs.
    pub agent: Option<u32>,
    /// Where its agent listens for `portolan-cni`.
    pub cni_socket: PathBuf,
}

/// A pod of the lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pod {
    /// Its name: unique in the lab.
    pub name: String,
    /// The cluster of the host it is on, by id.
    pub cluster: String,
    /// The host it is on.
    pub host: String,
    /// Its network namespace.
    pub namespace: String,
    /// Its address.
    pub address: IpAddr,
    /// Where its program answers.
    pub echo: SocketAddr,
}

impl Report {
    /// Which of the hosts somebody means: of the cluster with that name or id, or else of the demo's.
    pub fn host(&self, cluster: Option<&str>, name: &str) -> Result<usize, NoSuchHost> {
        let demo = self.cluster.as_ref().map(|cluster| cluster.id.as_str());
        let meant = |host: &&Host| match cluster {
            Some(given) => host.cluster.name == given || host.cluster.id == given,
            None => Some(host.cluster.id.as_str()) == demo,
        };
        let there: Vec<&Host> = self.hosts.iter().filter(meant).collect();
        let mut ids: Vec<&str> = there.iter().map(|host| host.cluster.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > 1 {
            return Err(NoSuchHost::Ambiguous {
                name: cluster.unwrap_or_default().to_owned(),
                ids: ids.join(", "),
            });
        }
        let found = self.hosts.iter().position(|host| host.name == name && meant(&host));
        found.ok_or_else(|| NoSuchHost::None {
            name: name.to_owned(),
            there: there
                .iter()
                .map(|host| host.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

/// Why a host is not there, or which one is meant is not clear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchHost {
    /// There is none of that name.
    #[error("there is no host {name:?} in that cluster; there are: {there}")]
    None {
        /// What was asked for.
        name: String,
        /// The cluster's hosts.
        there: String,
    },
    /// Two projects have a cluster of that name.
    #[error("there are several clusters {name}; say which by its id: {ids}")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The clusters.
        ids: String,
    },
}

/// Why a lab could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No lab was started with this state directory, or it has ended.
    #[error("no lab runs with the state directory {0}: start one with `portolan-lab up --state-dir {0}`")]
    None(PathBuf),
    /// It is there and does not answer.
    #[error("the lab does not answer: {0}")]
    Io(#[from] io::Error),
    /// It answers in another language: another version.
    #[error("the lab's answer is not understood: {0}")]
    Language(#[from] serde_json::Error),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

/// Asks the lab that was started with this state directory.
pub fn ask(state_dir: &Path, request: &Request) -> Result<Report, AskError> {
    let none = || AskError::None(state_dir.to_owned());
    let whereabouts = fs::read(state_dir.join(FILE)).map_err(|_| none())?;
    let whereabouts: Whereabouts = serde_json::from_slice(&whereabouts)?;
    let mut stream = UnixStream::connect(&whereabouts.control).map_err(|_| none())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write_line(&mut stream, request)?;
    match serde_json::from_str(&read_line(&stream)?)? {
        Answer::Ok(report) => Ok(*report),
        Answer::Error(why) => Err(AskError::Refused(why)),
    }
}

/// Writes one value as one line.
pub fn write_line(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads one line, of at most [`LONGEST`] bytes.
pub fn read_line(stream: &UnixStream) -> io::Result<String> {
    use std::io::Read;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_written_down() {
        let cases = [
            (Request::Status, r#"{"do":"status"}"#),
            (
                Request::PodAdd {
                    cluster: None,
                    host: "node-1".into(),
                    name: "web-7".into(),
                },
                r#"{"do":"pod_add","host":"node-1","name":"web-7"}"#,
            ),
            (
                Request::AgentKill {
                    cluster: Some("web".into()),
                    host: "node-1".into(),
                },
                r#"{"do":"agent_kill","cluster":"web","host":"node-1"}"#,
            ),
        ];
        for (request, text) in cases {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
    }

    fn cluster(name: &str, id: &str) -> Cluster {
        Cluster {
            id: id.into(),
            name: name.into(),
            project_id: "p".into(),
        }
    }

    #[test]
    fn a_host_is_meant_by_name_in_the_demos_cluster_or_in_the_one_that_is_said() {
        let host = |cluster: &Cluster, name: &str| Host {
            name: name.into(),
            cluster: cluster.clone(),
            namespace: String::new(),
            address: [10, 0, 0, 1].into(),
            agent: None,
            cni_socket: PathBuf::new(),
        };
        let (demo, web, other) = (cluster("shop", "1"), cluster("web", "2"), cluster("shop", "3"));
        let hosts = [
            (&web, "node-1"),
            (&demo, "node-1"),
            (&demo, "node-2"),
            (&other, "node-1"),
        ];
        let report = Report {
            name: "l".into(),
            pid: 1,
            url: String::new(),
            users: Vec::new(),
            cluster: Some(demo.clone()),
            hosts: hosts.iter().map(|(cluster, name)| host(cluster, name)).collect(),
            pods: Vec::new(),
            state_dir: PathBuf::new(),
        };
        assert_eq!(report.host(None, "node-1"), Ok(1));
        assert_eq!(report.host(Some("web"), "node-1"), Ok(0));
        assert_eq!(report.host(Some("3"), "node-1"), Ok(3));
        assert!(matches!(report.host(Some("shop"), "node-1"), Err(NoSuchHost::Ambiguous { ids, .. }) if ids == "1, 3"));
        assert!(matches!(report.host(Some("web"), "node-2"), Err(NoSuchHost::None { there, .. }) if there == "node-1"));
    }

    #[test]
    fn no_lab_is_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let error = ask(dir.path(), &Request::Status).unwrap_err();
        assert!(
            error.to_string().starts_with("no lab runs with the state directory"),
            "{error}"
        );
    }
}
