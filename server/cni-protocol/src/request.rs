//! What a runtime asks, and how the plugin passes it on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The operations of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Make the interface.
    Add,
    /// See whether the interface is as it was made.
    Check,
    /// Take the interface away.
    Del,
    /// Take away all interfaces except those that are listed.
    Gc,
    /// Say whether an ADD could be served now.
    Status,
    /// Say which versions are spoken. The plugin answers this one without the agent.
    Version,
}

impl Verb {
    /// All operations, in the order of the specification.
    pub const ALL: [Self; 6] = [Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status, Self::Version];

    /// The operation's name, as `CNI_COMMAND` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The operation of this name; names are in capital letters.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// One request to the agent. `C` is the network configuration: the plugin passes on the bytes that
/// it was given, the agent reads a JSON value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request<C> {
    /// `CNI_COMMAND` as it was given, known or not: the agent says what it does not know.
    pub command: String,
    /// `CNI_CONTAINERID`.
    #[serde(default)]
    pub container_id: String,
    /// `CNI_NETNS`; empty when the runtime gave none.
    #[serde(default)]
    pub netns: String,
    /// `CNI_IFNAME`.
    #[serde(default)]
    pub ifname: String,
    /// `CNI_ARGS`, as [`arguments`] reads it.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// The network configuration, as it was given on standard input.
    pub config: C,
}

/// What the plugin itself reads of a network configuration, and what the lab writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// The version of the specification that the configuration is written for.
    #[serde(rename = "cniVersion", default, skip_serializing_if = "Option::is_none")]
    pub cni_version: Option<String>,
    /// The network's name, unique on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file name of the plugin.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Where the agent listens, if not at [`DEFAULT_SOCKET`](crate::DEFAULT_SOCKET).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// The keys of `CNI_ARGS` by which runtimes name the pod.
pub mod argument {
    /// The Kubernetes namespace.
    pub const POD_NAMESPACE: &str = "K8S_POD_NAMESPACE";
    /// The pod's name.
    pub const POD_NAME: &str = "K8S_POD_NAME";
    /// The pod's UID.
    pub const POD_UID: &str = "K8S_POD_UID";
    /// The runtime's id of the sandbox.
    pub const CONTAINER_ID: &str = "K8S_POD_INFRA_CONTAINER_ID";
    /// `1`: keys that the plugin does not know are no error.
    pub const IGNORE_UNKNOWN: &str = "IgnoreUnknown";
}

/// Reads `CNI_ARGS`: `KEY=VALUE;KEY=VALUE`. A part without `=` is left out.
pub fn arguments(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn every_operation_is_known_by_its_name() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
        }
        assert_eq!(Verb::parse("add"), None);
    }

    #[test]
    fn arguments_without_a_value_are_left_out() {
        let read = arguments("IgnoreUnknown=1;K8S_POD_NAME=web-7;odd;K8S_POD_UID=");
        let read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [("IgnoreUnknown", "1"), ("K8S_POD_NAME", "web-7"), ("K8S_POD_UID", "")]
        );
    }

    #[test]
    fn what_the_plugin_sends_is_what_the_agent_reads() {
        let config = r#"{"cniVersion":"1.0.0","name":"portolan","unknown":[1, 2]}"#;
        let raw: &RawValue = serde_json::from_str(config).unwrap();
        let sent = Request {
            command: "ADD".to_owned(),
            container_id: "c1".to_owned(),
            netns: "/run/netns/c1".to_owned(),
            ifname: "eth0".to_owned(),
            args: arguments("K8S_POD_NAME=web-7"),
            config: raw,
        };
        let bytes = serde_json::to_string(&sent).unwrap();
        assert!(
            bytes.contains(config),
            "the configuration is passed on as it is: {bytes}"
        );
        let read: Request<Value> = serde_json::from_str(&bytes).unwrap();
        assert_eq!(
            (read.command.as_str(), read.container_id.as_str(), read.netns.as_str()),
            ("ADD", "c1", "/run/netns/c1")
        );
        assert_eq!(
            (read.ifname.as_str(), read.args["K8S_POD_NAME"].as_str()),
            ("eth0", "web-7")
        );
        assert_eq!(read.config["unknown"][1], 2);
    }
}
