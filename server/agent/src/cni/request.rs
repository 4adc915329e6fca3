//! What the plugin asks, parsed and checked once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portolan_cni_protocol::{CniError, Dns, Request, Verb, Version, code};
use portolan_shared::host_port::HostPort;

use serde::Deserialize;
use serde_json::Value;

use super::asks;

/// The longest interface name (`IFNAMSIZ` less its end).
const LONGEST_IFNAME: usize = 15;

/// An interface in a sandbox, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SandboxInterface {
    /// The runtime's id of the sandbox.
    pub(super) container: String,
    /// The interface's name in the sandbox.
    pub(super) ifname: String,
}

/// What is asked, checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// Make the interface.
    Add {
        /// The network configuration's name.
        network: String,
        /// The interface to make.
        interface: SandboxInterface,
        /// The sandbox's network namespace.
        netns: PathBuf,
        /// `CNI_ARGS`.
        args: BTreeMap<String, String>,
        /// The pod's name servers: the runtime's, or else the network configuration's.
        dns: Dns,
        /// Ports of the host that shall lead to the pod.
        host_ports: Vec<HostPort>,
        /// `prevResult`: what the plugins before this one in the list have made.
        previous: Option<Value>,
    },
    /// Check that it is as `previous` says.
    Check {
        /// The interface to examine.
        interface: SandboxInterface,
        /// The sandbox's network namespace.
        netns: PathBuf,
        /// `prevResult`.
        previous: Value,
    },
    /// Take it away.
    Del {
        /// The interface to take away.
        interface: SandboxInterface,
        /// The sandbox's network namespace, where the runtime names it.
        netns: Option<PathBuf>,
    },
    /// Take everything of the network away but this: sandbox id and interface.
    Gc {
        /// The network configuration's name.
        network: String,
        /// `cni.dev/valid-attachments`.
        keep: Vec<(String, String)>,
    },
    /// Could an ADD be served now?
    Status,
}

/// A request with the version it is to be answered in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checked {
    /// The version.
    pub(super) version: Version,
    /// The command, with what it needs.
    pub(super) command: Command,
}

/// Parses and checks a request.
pub(super) fn parse(bytes: &[u8]) -> Result<Checked, CniError> {
    let request: Request<Value> = serde_json::from_slice(bytes).map_err(|error| {
        CniError::new(
            code::NOT_DECODED,
            format!("the request could not be read: {error}"),
            "The agent expects what portolan-cni of the same version sends: are both of one release?",
        )
    })?;
    let version = version(&request.config)?;
    let command = command(&request).map_err(|error| error.in_version(version.as_str()))?;
    Ok(Checked { version, command })
}

fn version(config: &Value) -> Result<Version, CniError> {
    let invalid = |msg: &str| {
        let details =
            "The network configuration is a JSON object with cniVersion, name and type: see the node's /etc/cni/net.d.";
        CniError::new(code::INVALID_CONFIG, msg, details)
    };
    let config = config
        .as_object()
        .ok_or_else(|| invalid("the network configuration is not an object"))?;
    let given = config
        .get("cniVersion")
        .ok_or_else(|| invalid("the network configuration has no cniVersion"))?;
    let given = given.as_str().ok_or_else(|| invalid("cniVersion is not a text"))?;
    Version::parse(given).ok_or_else(|| {
        CniError::new(
            code::INCOMPATIBLE_VERSION,
            format!("version {given} of the CNI specification is not spoken"),
            format!(
                "Set cniVersion in the network configuration to one of {}.",
                Version::ALL.map(Version::as_str).join(", ")
            ),
        )
    })
}

fn command(request: &Request<Value>) -> Result<Command, CniError> {
    match Verb::parse(&request.command) {
        Some(Verb::Add) => {
            asks::nothing_unsupported(request)?;
            Ok(Command::Add {
                network: network(&request.config)?,
                interface: sandbox_interface(request)?,
                netns: netns(request)?,
                args: request.args.clone(),
                dns: asks::dns(&request.config)?,
                host_ports: asks::host_ports(&request.config)?,
                previous: request
                    .config
                    .get("prevResult")
                    .filter(|previous| previous.is_object())
                    .cloned(),
            })
        }
        Some(Verb::Check) => {
            let previous = request.config.get("prevResult").cloned().ok_or_else(|| {
                CniError::new(
                    code::INVALID_CONFIG,
                    "CHECK without prevResult",
                    "The runtime must hand the result of the ADD back as prevResult.",
                )
            })?;
            Ok(Command::Check {
                interface: sandbox_interface(request)?,
                netns: netns(request)?,
                previous,
            })
        }
        // The namespace may be gone and its path empty.
        Some(Verb::Del) => Ok(Command::Del {
            interface: sandbox_interface(request)?,
            netns: netns(request).ok(),
        }),
        Some(Verb::Gc) => Ok(Command::Gc {
            network: network(&request.config)?,
            keep: valid_attachments(&request.config)?,
        }),
        Some(Verb::Status) => Ok(Command::Status),
        // VERSION is answered by the plugin.
        Some(Verb::Version) | None => Err(CniError::new(
            code::INVALID_ENVIRONMENT,
            format!("CNI_COMMAND is {:?}", request.command),
            "The agent knows ADD, CHECK, DEL, GC and STATUS.",
        )),
    }
}

/// The network configuration's name: GC of one network leaves the others' pods alone.
fn network(config: &Value) -> Result<String, CniError> {
    let name = config
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    name.map(ToOwned::to_owned).ok_or_else(|| {
        CniError::new(
            code::INVALID_CONFIG,
            "the network configuration has no name",
            "The network configuration is a JSON object with cniVersion, name and type: see the node's /etc/cni/net.d.",
        )
    })
}

fn missing(variable: &str, details: &str) -> CniError {
    CniError::new(
        code::INVALID_ENVIRONMENT,
        format!("{variable} is missing or invalid"),
        details,
    )
}

fn sandbox_interface(request: &Request<Value>) -> Result<SandboxInterface, CniError> {
    let (container, ifname) = (&request.container_id, &request.ifname);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !container.starts_with(|c: char| c.is_ascii_alphanumeric()) || !container.bytes().all(plain) {
        let details = "It is the sandbox's id: letters and digits, then also underscore, dot and hyphen.";
        return Err(missing("CNI_CONTAINERID", details));
    }
    let fits = (1..=LONGEST_IFNAME).contains(&ifname.len()) && !matches!(ifname.as_str(), "." | ".." | "lo");
    if !fits || ifname.bytes().any(|b| b == b'/' || b == b':' || !b.is_ascii_graphic()) {
        let details =
            "It is the interface to make in the pod: 1 to 15 characters without slash, colon or blank, such as eth0.";
        return Err(missing("CNI_IFNAME", details));
    }
    Ok(SandboxInterface {
        container: container.clone(),
        ifname: ifname.clone(),
    })
}

fn netns(request: &Request<Value>) -> Result<PathBuf, CniError> {
    if request.netns.starts_with('/') {
        return Ok(PathBuf::from(&request.netns));
    }
    Err(missing(
        "CNI_NETNS",
        "It is the absolute path of the pod's network namespace, such as /var/run/netns/cni-1.",
    ))
}

fn valid_attachments(config: &Value) -> Result<Vec<(String, String)>, CniError> {
    #[derive(Deserialize)]
    struct Attachment {
        #[serde(rename = "containerID")]
        container: String,
        ifname: String,
    }
    let list = config.get("cni.dev/valid-attachments").cloned();
    let list: Option<Vec<Attachment>> = list.and_then(|list| serde_json::from_value(list).ok());
    let list = list.ok_or_else(|| {
        CniError::new(
            code::INVALID_CONFIG,
            "GC without a readable cni.dev/valid-attachments",
            "Without the list of what is still in use nothing is collected.",
        )
    })?;
    Ok(list.into_iter().map(|a| (a.container, a.ifname)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut value = json!({
            "command": "ADD", "container_id": "c1", "netns": "/run/netns/c1", "ifname": "eth0",
            "args": {"K8S_POD_NAME": "web-7"},
            "config": {"cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni"},
        });
        edit(&mut value);
        value.to_string().into_bytes()
    }

    fn check(edit: impl FnOnce(&mut Value), wanted: u32, says: &str) {
        let error = parse(&request(edit)).unwrap_err();
        assert_eq!(error.code, wanted, "{error:?}");
        assert!(error.msg.contains(says), "{error:?}");
        assert!(!error.details.is_empty());
    }

    #[test]
    fn an_add_is_understood() {
        let checked = parse(&request(|_| ())).unwrap();
        assert_eq!(checked.version, Version::V1_0_0);
        let interface = SandboxInterface {
            container: "c1".into(),
            ifname: "eth0".into(),
        };
        let args = BTreeMap::from([("K8S_POD_NAME".to_owned(), "web-7".to_owned())]);
        assert_eq!(
            checked.command,
            Command::Add {
                network: "portolan".to_owned(),
                interface,
                netns: "/run/netns/c1".into(),
                args,
                dns: Dns::default(),
                host_ports: Vec::new(),
                previous: None,
            }
        );
    }

    #[test]
    fn what_is_wrong_has_its_code() {
        check(|r| r["command"] = json!("FROB"), code::INVALID_ENVIRONMENT, "FROB");
        check(
            |r| r["container_id"] = json!(""),
            code::INVALID_ENVIRONMENT,
            "CNI_CONTAINERID",
        );
        check(
            |r| r["container_id"] = json!("../x"),
            code::INVALID_ENVIRONMENT,
            "CNI_CONTAINERID",
        );
        for bad in ["", "a/b", "a:b", "a b", "sixteen-letters-", "..", "lo", "é"] {
            check(|r| r["ifname"] = json!(bad), code::INVALID_ENVIRONMENT, "CNI_IFNAME");
        }
        check(|r| r["netns"] = json!(""), code::INVALID_ENVIRONMENT, "CNI_NETNS");
        check(|r| r["config"] = json!([]), code::INVALID_CONFIG, "not an object");
        check(|r| r["config"]["name"] = json!(""), code::INVALID_CONFIG, "no name");
        check(
            |r| r["config"]["cniVersion"] = json!("0.2.0"),
            code::INCOMPATIBLE_VERSION,
            "0.2.0",
        );
        check(|r| r["command"] = json!("CHECK"), code::INVALID_CONFIG, "prevResult");
        check(
            |r| r["command"] = json!("GC"),
            code::INVALID_CONFIG,
            "valid-attachments",
        );
        check(|r| r["args"] = json!(7), code::NOT_DECODED, "could not be read");
        assert_eq!(parse(b"").unwrap_err().code, code::NOT_DECODED);
    }

    #[test]
    fn a_del_needs_no_namespace() {
        let edit = |r: &mut Value| {
            r["command"] = json!("DEL");
            r["netns"] = json!("");
        };
        assert!(matches!(parse(&request(edit)).unwrap().command, Command::Del { .. }));
    }
}
