//! What a runtime or a network configuration asks of a pod's network beyond an address: it is done, or refused with the
//! key's name, and never left out.

use std::num::NonZeroU16;

use portolan_cni_protocol::{CniError, Dns, Request, code};
use portolan_shared::host_port::HostPort;
use serde::Deserialize;
use serde_json::Value;

/// A key that asks for what is not done, and what to do instead.
struct Unsupported {
    /// Where it is: the keys on the way to it, without regard to capital letters (containerd writes them so).
    path: &'static [&'static str],
    /// What to do.
    instead: &'static str,
}

const ADDRESSES: &str =
    "Portolan gives addresses out itself, from the blocks that the control plane leases to the node. Leave it out.";

const MAC: &str = "A pod's MAC address is made of its address. Leave it out.";

const UNSUPPORTED: &[Unsupported] = &[
    Unsupported {
        path: &["ipam", "type"],
        instead: ADDRESSES,
    },
    Unsupported {
        path: &["mtu"],
        instead: "The MTU is the cluster's: set it on its network. Remove mtu.",
    },
    Unsupported {
        path: &["runtimeConfig", "bandwidth"],
        instead: "Put the plugin bandwidth behind this one in the list, with the capability bandwidth.",
    },
    Unsupported {
        path: &["runtimeConfig", "ips"],
        instead: ADDRESSES,
    },
    Unsupported {
        path: &["runtimeConfig", "ipRanges"],
        instead: ADDRESSES,
    },
    Unsupported {
        path: &["runtimeConfig", "mac"],
        instead: MAC,
    },
    Unsupported {
        path: &["args", "cni", "ips"],
        instead: ADDRESSES,
    },
    Unsupported {
        path: &["args", "cni", "mac"],
        instead: MAC,
    },
];

/// Keys of `CNI_ARGS` that ask for something; who sets them means it, whatever `IgnoreUnknown` says.
const UNSUPPORTED_ARGUMENTS: [&str; 2] = ["IP", "MAC"];

/// Refuses what would otherwise be silently left out.
pub(super) fn nothing_unsupported(request: &Request<Value>) -> Result<(), CniError> {
    for key in UNSUPPORTED {
        if let Some(value) = find(&request.config, key.path).filter(|value| asks(value)) {
            let name = key.path.join(".");
            return Err(unsupported(
                format!("the network configuration has {name}: {value}"),
                key.instead,
            ));
        }
    }
    for key in UNSUPPORTED_ARGUMENTS {
        if let Some(value) = request.args.get(key).filter(|value| !value.is_empty()) {
            let instead = "A pod cannot choose its address or MAC address; leave the runtime's option out (of podman --ip and \
                           --mac-address).";
            return Err(unsupported(format!("CNI_ARGS has {key}={value}"), instead));
        }
    }
    Ok(())
}

fn unsupported(msg: String, instead: &str) -> CniError {
    CniError::new(code::UNSUPPORTED_FIELD, format!("{msg}, which is not done"), instead)
}

/// The name servers that the runtime gives, or else those of the network configuration.
pub(super) fn dns(config: &Value) -> Result<Dns, CniError> {
    let given = find(config, &["runtimeConfig", "dns"]).filter(|value| asks(value));
    let Some(given) = given.or_else(|| find(config, &["dns"]).filter(|value| asks(value))) else {
        return Ok(Dns::default());
    };
    serde_json::from_value(given.clone()).map_err(|error| {
        CniError::new(
            code::INVALID_CONFIG,
            format!("the name servers cannot be read: {error}"),
            "dns has lists of texts: nameservers, search and options in the network configuration, servers, searches and \
             options from the runtime.",
        )
    })
}

/// Most host ports of a pod.
const MOST_PORTS: usize = 1024;

/// A port mapping as runtimes write it: containerd with capitals, podman without.
#[derive(Deserialize)]
struct Mapping {
    #[serde(alias = "HostPort", rename = "hostPort", default)]
    host: u16,
    #[serde(alias = "ContainerPort", rename = "containerPort")]
    container: NonZeroU16,
    #[serde(alias = "Protocol", rename = "protocol", default)]
    protocol: String,
    #[serde(alias = "HostIP", rename = "hostIP", default)]
    address: String,
}

/// The host ports that the runtime wants to lead to the pod, each once. One without a host's port asks for nothing.
pub(super) fn host_ports(config: &Value) -> Result<Vec<HostPort>, CniError> {
    let path = ["runtimeConfig", "portMappings"];
    let Some(asked) = find(config, &path).filter(|value| asks(value)) else {
        return Ok(Vec::new());
    };
    let invalid = |msg: String| {
        let details = "portMappings is a list of {hostPort, containerPort, protocol, hostIP}: ports are from 1 to 65535, \
                       the protocol is tcp, udp or sctp, hostIP is an address of this host or empty.";
        CniError::new(
            code::INVALID_CONFIG,
            format!("portMappings cannot be read: {msg}"),
            details,
        )
    };
    let mappings: Vec<Mapping> = serde_json::from_value(asked.clone()).map_err(|error| invalid(error.to_string()))?;
    let mut ports: Vec<HostPort> = Vec::new();
    for mapping in mappings {
        let Some(host_port) = NonZeroU16::new(mapping.host) else {
            continue;
        };
        let (protocol, address) = (mapping.protocol.as_str(), mapping.address.as_str());
        let protocol = if protocol.is_empty() { "tcp" } else { protocol };
        let host_ip = (!address.is_empty()).then(|| address.parse());
        let port = HostPort {
            protocol: protocol
                .parse()
                .map_err(|()| invalid(format!("{protocol} is no protocol with ports")))?,
            host_ip: host_ip
                .transpose()
                .map_err(|_| invalid(format!("{address} is no address")))?,
            host_port,
            container_port: mapping.container,
        };
        if ports.contains(&port) {
            continue;
        }
        if ports.iter().any(|other| other.meets(&port)) {
            return Err(invalid(format!("host port {port} is named twice")));
        }
        ports.push(port);
    }
    if ports.len() > MOST_PORTS {
        return Err(invalid(format!(
            "{} host ports, and a pod has {MOST_PORTS} at most",
            ports.len()
        )));
    }
    Ok(ports)
}

/// What is at a path of keys.
fn find<'a>(config: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(config, |value, key| {
        let mut all = value.as_object()?.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    })
}

/// Whether a value asks for anything: runtimes write down what nobody asked for as null, empty or 0.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => all.values().any(asks),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(config: Value, args: &str) -> Request<Value> {
        Request {
            command: "ADD".to_owned(),
            container_id: String::new(),
            netns: String::new(),
            ifname: String::new(),
            args: portolan_cni_protocol::arguments(args),
            config,
        }
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_name_in_either_spelling() {
        let cases = [
            (json!({"ipam": {"type": "host-local"}}), "", "ipam.type"),
            (json!({"mtu": 1400}), "", "mtu"),
            (
                json!({"runtimeConfig": {"Bandwidth": {"IngressRate": 10_000_000, "EgressRate": 0}}}),
                "",
                "runtimeConfig.bandwidth",
            ),
            (
                json!({"runtimeConfig": {"ips": ["10.1.0.7/16"]}}),
                "",
                "runtimeConfig.ips",
            ),
            (
                json!({"runtimeConfig": {"ipRanges": [[{"subnet": "10.1.0.0/16"}]]}}),
                "",
                "runtimeConfig.ipRanges",
            ),
            (
                json!({"runtimeConfig": {"mac": "02:00:00:00:00:01"}}),
                "",
                "runtimeConfig.mac",
            ),
            (json!({"args": {"cni": {"ips": ["10.1.0.7"]}}}), "", "args.cni.ips"),
            (
                json!({"args": {"cni": {"mac": "02:00:00:00:00:01"}}}),
                "",
                "args.cni.mac",
            ),
            (json!({}), "IgnoreUnknown=1;IP=10.1.0.7", "IP=10.1.0.7"),
            (json!({}), "IgnoreUnknown=1;MAC=02:00:00:00:00:01", "MAC=02"),
        ];
        for (config, args, name) in cases {
            let error = nothing_unsupported(&request(config, args)).unwrap_err();
            assert_eq!(error.code, code::UNSUPPORTED_FIELD);
            assert!(error.msg.contains(name) && !error.details.is_empty(), "{error:?}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_no_reason() {
        let config = json!({
            "cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni", "ipam": {}, "capabilities": {},
            "runtimeConfig": {
                "portMappings": [], "bandwidth": {"ingressRate": 0, "egressRate": 0}, "mac": "", "ips": null,
                "io.kubernetes.cri.pod-annotations": {"color": "blue"},
            },
        });
        let args = "IgnoreUnknown=1;K8S_POD_NAME=web-7;IP=";
        assert_eq!(nothing_unsupported(&request(config, args)), Ok(()));
    }

    #[test]
    fn host_ports_are_read_in_both_spellings() {
        let written = |mappings: Value| {
            let ports = host_ports(&json!({"runtimeConfig": {"portMappings": mappings}}))?;
            let write = |port: HostPort| format!("{port} to {}", port.container_port);
            Ok::<_, CniError>(ports.into_iter().map(write).collect::<Vec<_>>())
        };
        let containerd = json!([
            {"HostPort": 53, "ContainerPort": 5353, "Protocol": "udp", "HostIP": "127.0.0.1"},
            {"HostPort": 80, "ContainerPort": 8080, "Protocol": "tcp", "HostIP": ""},
            {"HostPort": 0, "ContainerPort": 9, "Protocol": "tcp", "HostIP": ""},
        ]);
        assert_eq!(
            written(containerd).unwrap(),
            ["127.0.0.1:53/udp to 5353", "80/tcp to 8080"]
        );
        let podman = json!([
            {"hostPort": 80, "containerPort": 8080, "protocol": "tcp"},
            {"hostPort": 80, "containerPort": 8080, "protocol": "tcp"},
            {"hostPort": 81, "containerPort": 81, "protocol": "SCTP", "hostIP": "::"},
            {"hostPort": 82, "containerPort": 82},
        ]);
        let read = ["80/tcp to 8080", "[::]:81/sctp to 81", "82/tcp to 82"];
        assert_eq!(written(podman).unwrap(), read);
        for nothing in [Value::Null, json!([])] {
            assert_eq!(written(nothing), Ok(vec![]));
        }
        for (wrong, why) in [
            (json!([{"hostPort": 80}]), "containerPort"),
            (json!([{"hostPort": 80, "containerPort": 0}]), "nonzero"),
            (json!([{"hostPort": 70_000, "containerPort": 80}]), "70000"),
            (
                json!([{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}]),
                "icmp",
            ),
            (json!([{"hostPort": 80, "containerPort": 80, "hostIP": "here"}]), "here"),
            (
                json!([{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 81}]),
                "twice",
            ),
        ] {
            let error = written(wrong).unwrap_err();
            assert!(
                error.code == code::INVALID_CONFIG && error.msg.contains(why),
                "{error:?}"
            );
        }
    }

    #[test]
    fn name_servers_are_the_runtimes_or_else_the_configurations() {
        let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let own = json!({"nameservers": ["10.0.0.2"], "domain": "example.org", "search": ["example.org"]});
        let read = dns(&json!({"dns": own, "runtimeConfig": {"dns": {"Servers": [], "Searches": null}}})).unwrap();
        assert_eq!(
            (read.nameservers, read.domain.as_str(), read.search),
            (list(&["10.0.0.2"]), "example.org", list(&["example.org"]))
        );
        for given in [
            json!({"servers": ["10.96.0.10"], "searches": ["svc.local"], "options": ["ndots:5"]}),
            json!({"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": ["ndots:5"], "Domain": null}),
        ] {
            let read = dns(&json!({"dns": own, "runtimeConfig": {"dns": given}})).unwrap();
            assert_eq!(
                (read.nameservers, read.domain.as_str(), read.search, read.options),
                (list(&["10.96.0.10"]), "", list(&["svc.local"]), list(&["ndots:5"]))
            );
        }
        assert_eq!(
            dns(&json!({"dns": {"nameservers": 7}})).unwrap_err().code,
            code::INVALID_CONFIG
        );
        assert_eq!(dns(&json!({})), Ok(Dns::default()));
    }
}
