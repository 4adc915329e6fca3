//! *Show as code*: what a form would make, as a command, as Terraform and as a request.
//!
//! Values are people's words and go into shells and files: each is quoted for where it stands. There
//! is never a secret in it: a token is named by the variable it is kept in.

mod command;
mod quote;
mod terraform;

use portolan_shared::addr::IpRange;
use portolan_shared::check::SubnetSpec;
use portolan_shared::v1::CreateCluster;
use serde::Serialize;

use command::Command;
use quote::hcl;
pub use quote::shell;
use terraform::Block;

use crate::api::bodies::{CreateNetwork, CreatePort, CreateSubnet, NetworkSpec, PortSpec};
use crate::api::url;

/// For which tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// python-openstackclient.
    OpenStack,
    /// The provider `terraform-provider-openstack/openstack`.
    Terraform,
    /// A request, for any shell.
    Curl,
}

impl Tool {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Tool::OpenStack => "openstack",
            Tool::Terraform => "Terraform",
            Tool::Curl => "curl",
        }
    }

    /// Who runs it, where that is somebody who logs in.
    pub const fn client(self) -> Option<&'static str> {
        match self {
            Tool::OpenStack => Some("python-openstackclient"),
            Tool::Terraform => Some("terraform-provider-openstack/openstack"),
            Tool::Curl => None,
        }
    }
}

/// Tools for what OpenStack has a word for, in the order of the samples.
pub const ALL: &[Tool] = &[Tool::OpenStack, Tool::Terraform, Tool::Curl];

/// Tools for what only Portolan has.
pub const OWN: &[Tool] = &[Tool::Curl];

/// The same thing for one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which tool.
    pub tool: Tool,
    /// What to run, or to keep in a file.
    pub text: String,
}

/// A network.
pub fn network(origin: &str, spec: &NetworkSpec) -> Vec<Sample> {
    let mut own = vec![("internet_access", spec.internet)];
    if spec.services {
        own.push(("enable_shadow_port", true));
    }
    let mut command = Command::new("openstack network create");
    command.option("description", &spec.description);
    let mut block = Block::new("openstack_networking_network_v2", &spec.name);
    block.text("name", &spec.name);
    block.some_text("description", &spec.description);
    block.word("admin_state_up", "true");
    for (name, on) in &own {
        command.option("extra-property", &format!("type=bool,name={name},value={on}"));
    }
    let values: Vec<_> = own.iter().map(|(name, on)| (*name, on.to_string())).collect();
    block.map("value_specs", &values);
    let body = CreateNetwork::new(spec);
    vec![
        command.named(&spec.name),
        block.end(),
        curl(origin, &url::networking("networks"), &body),
    ]
}

/// A subnet of the network with the id `network`.
pub fn subnet(origin: &str, network: &str, spec: &SubnetSpec) -> Vec<Sample> {
    let own_pools: &[IpRange] = if spec.pools == spec.cidr.default_pools(spec.gateway) {
        &[]
    } else {
        &spec.pools
    };
    let version = spec.cidr.family().number().to_string();
    let mut command = Command::new("openstack subnet create");
    command.option("network", network);
    command.option("ip-version", &version);
    command.option("subnet-range", &spec.cidr.to_string());
    command.option(
        "gateway",
        &spec
            .gateway
            .map_or_else(|| "none".to_owned(), |gateway| gateway.to_string()),
    );
    command.flag(if spec.enable_dhcp { "dhcp" } else { "no-dhcp" });
    let mut block = Block::new("openstack_networking_subnet_v2", &spec.name);
    block.text("network_id", network);
    block.text("name", &spec.name);
    block.some_text("description", &spec.description);
    block.text("cidr", &spec.cidr.to_string());
    block.word("ip_version", &version);
    match spec.gateway {
        Some(gateway) => block.text("gateway_ip", &gateway.to_string()),
        None => block.word("no_gateway", "true"),
    }
    block.word("enable_dhcp", if spec.enable_dhcp { "true" } else { "false" });
    for pool in own_pools {
        command.option(
            "allocation-pool",
            &format!("start={},end={}", pool.first(), pool.last()),
        );
        block.block(
            "allocation_pool",
            &[("start", pool.first().to_string()), ("end", pool.last().to_string())],
        );
    }
    for server in &spec.dns {
        command.option("dns-nameserver", &server.to_string());
    }
    if !spec.dns.is_empty() {
        let servers: Vec<String> = spec.dns.iter().map(|server| hcl(&server.to_string())).collect();
        block.word("dns_nameservers", &format!("[{}]", servers.join(", ")));
    }
    for route in &spec.routes {
        command.option(
            "host-route",
            &format!("destination={},gateway={}", route.destination, route.next_hop),
        );
    }
    command.option("description", &spec.description);
    let label = block.label();
    let mut terraform = block.end();
    for (number, route) in spec.routes.iter().enumerate() {
        let mut block = Block::new(
            "openstack_networking_subnet_route_v2",
            &format!("{label}_{}", number + 1),
        );
        block.word("subnet_id", &format!("openstack_networking_subnet_v2.{label}.id"));
        block.text("destination_cidr", &route.destination.to_string());
        block.text("next_hop", &route.next_hop.to_string());
        terraform.text.push('\n');
        terraform.text.push_str(&block.end().text);
    }
    let body = CreateSubnet::new(network, spec);
    vec![
        command.named(&spec.name),
        terraform,
        curl(origin, &url::networking("subnets"), &body),
    ]
}

/// A port in the subnet with the id `subnet`.
pub fn port(origin: &str, network: &str, subnet: &str, spec: &PortSpec) -> Vec<Sample> {
    let mut command = Command::new("openstack port create");
    command.option("network", network);
    let mut block = Block::new("openstack_networking_port_v2", &spec.name);
    block.text("network_id", network);
    block.some_text("name", &spec.name);
    block.some_text("description", &spec.description);
    block.word("admin_state_up", if spec.enabled { "true" } else { "false" });
    if let Some(mac) = &spec.mac {
        command.option("mac-address", mac);
        block.text("mac_address", mac);
    }
    if spec.addresses.is_empty() {
        command.option("fixed-ip", &format!("subnet={subnet}"));
        block.block("fixed_ip", &[("subnet_id", subnet.to_owned())]);
    }
    for address in &spec.addresses {
        command.option("fixed-ip", &format!("subnet={subnet},ip-address={address}"));
        block.block(
            "fixed_ip",
            &[("subnet_id", subnet.to_owned()), ("ip_address", address.to_string())],
        );
    }
    command.flag(if spec.enabled { "enable" } else { "disable" });
    command.option("description", &spec.description);
    let body = CreatePort::new(network, subnet, spec);
    vec![
        command.named(&spec.name),
        block.end(),
        curl(origin, &url::networking("ports"), &body),
    ]
}

/// A cluster of the project with the id `project`: only Portolan's own API has a word for it.
pub fn cluster(origin: &str, project: &str, body: &CreateCluster) -> Vec<Sample> {
    vec![curl(origin, &url::of_project(project, "clusters"), body)]
}

/// A request with a body.
fn curl(origin: &str, path: &str, body: &impl Serialize) -> Sample {
    let body = serde_json::to_string_pretty(body).unwrap_or_default();
    let lines = [
        format!("curl -sS -X POST {}", shell(&format!("{origin}{path}"))),
        "-H \"X-Auth-Token: $OS_TOKEN\"".to_owned(),
        "-H 'Content-Type: application/json'".to_owned(),
        format!("-d {}", shell(&body)),
    ];
    Sample {
        tool: Tool::Curl,
        text: lines.join(" \\\n  "),
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::check::{self, GatewayInput, SubnetInput};

    use super::quote::tests::{NASTY, words};
    use super::*;

    fn sample(samples: &[Sample], tool: Tool) -> &str {
        &samples.iter().find(|sample| sample.tool == tool).unwrap().text
    }

    fn net(name: &str, description: &str) -> Vec<Sample> {
        let spec = NetworkSpec {
            name: name.into(),
            description: description.into(),
            internet: true,
            services: false,
        };
        network("http://127.0.0.1:8080", &spec)
    }

    #[test]
    fn the_network_command_is_one_command_whatever_its_name() {
        for nasty in NASTY {
            let command = net(nasty, nasty);
            let words = words(sample(&command, Tool::OpenStack));
            assert_eq!(words[..3], ["openstack", "network", "create"]);
            assert_eq!(words.last().map(String::as_str), Some(nasty));
            let described = words
                .iter()
                .any(|word| word == nasty || word.strip_prefix("--description=") == Some(nasty));
            assert!(described, "{words:?}");
            if nasty.starts_with('-') {
                assert_eq!(words[words.len() - 2], "--", "the name is no option");
            }
            assert!(words.contains(&"type=bool,name=internet_access,value=true".to_owned()));
        }
    }

    #[test]
    fn the_request_carries_the_body_and_no_secret() {
        for nasty in NASTY {
            let command = net(nasty, "");
            let curl = sample(&command, Tool::Curl);
            assert!(curl.contains("$OS_TOKEN"));
            let words = words(curl);
            assert!(words.contains(&"http://127.0.0.1:8080/v2.0/networks".to_owned()));
            assert!(
                words.contains(&"X-Auth-Token: the token".to_owned()),
                "the shell fills it in"
            );
            let body: serde_json::Value = serde_json::from_str(words.last().unwrap()).unwrap();
            assert_eq!(body["network"]["name"], nasty);
            assert_eq!(body["network"]["internet_access"], true);
        }
    }

    #[test]
    fn terraform_names_things_by_identifiers() {
        for (name, label) in [
            ("web", "web"),
            ("Web 1", "web_1"),
            ("1st", "network_1st"),
            ("сеть", "network"),
            ("", "network"),
            ("a\"b", "a_b"),
        ] {
            let text = net(name, "");
            let text = sample(&text, Tool::Terraform);
            let head = format!("resource \"openstack_networking_network_v2\" \"{label}\" {{\n");
            assert!(text.starts_with(&head), "{name}: {text}");
            assert!(text.contains("internet_access = \"true\"") && !text.contains("enable_shadow_port"));
        }
    }

    #[test]
    fn a_subnet_says_all_that_was_chosen() {
        let input = SubnetInput {
            name: "web".into(),
            cidr: "10.0.0.0/24".into(),
            gateway: GatewayInput::None,
            pools: Some(vec![("10.0.0.9".into(), "10.0.0.12".into())]),
            dns: vec!["10.0.0.2".into()],
            routes: vec![("10.8.0.0/16".into(), "10.0.0.9".into())],
            ..SubnetInput::default()
        };
        let spec = check::subnet(&input).unwrap();
        let samples = subnet("", "n-1", &spec);
        let command = words(sample(&samples, Tool::OpenStack)).join(" ");
        for part in [
            "--network n-1",
            "--subnet-range 10.0.0.0/24",
            "--ip-version 4",
            "--gateway none",
            "--no-dhcp",
            "--allocation-pool start=10.0.0.9,end=10.0.0.12",
            "--dns-nameserver 10.0.0.2",
            "--host-route destination=10.8.0.0/16,gateway=10.0.0.9",
        ] {
            assert!(command.contains(part), "{part} in {command}");
        }
        let expected = r#"resource "openstack_networking_subnet_v2" "web" {
  network_id  = "n-1"
  name        = "web"
  cidr        = "10.0.0.0/24"
  ip_version  = 4
  no_gateway  = true
  enable_dhcp = false
  allocation_pool {
    start = "10.0.0.9"
    end   = "10.0.0.12"
  }
  dns_nameservers = ["10.0.0.2"]
}

resource "openstack_networking_subnet_route_v2" "web_1" {
  subnet_id        = openstack_networking_subnet_v2.web.id
  destination_cidr = "10.8.0.0/16"
  next_hop         = "10.0.0.9"
}
"#;
        assert_eq!(sample(&samples, Tool::Terraform), expected);
        let plain = check::subnet(&SubnetInput {
            gateway: GatewayInput::Default,
            pools: None,
            dns: vec![],
            routes: vec![],
            enable_dhcp: true,
            ..input
        });
        let samples = subnet("", "n-1", &plain.unwrap());
        let command = sample(&samples, Tool::OpenStack);
        assert!(!command.contains("allocation-pool") && command.contains("--gateway 10.0.0.1"));
    }

    #[test]
    fn a_port_asks_for_the_subnet_or_for_addresses() {
        let mut spec = PortSpec {
            name: String::new(),
            description: String::new(),
            enabled: false,
            addresses: vec![],
            mac: None,
        };
        let samples = port("", "n-1", "s-1", &spec);
        let command = words(sample(&samples, Tool::OpenStack));
        assert!(command.join(" ").contains("--fixed-ip subnet=s-1 --disable"));
        assert_eq!(
            command.last().map(String::as_str),
            Some(""),
            "a name is asked for, an empty one will do"
        );
        spec.addresses = vec!["10.0.0.9".parse().unwrap()];
        spec.mac = Some("fa:16:3e:00:00:01".into());
        let samples = port("", "n-1", "s-1", &spec);
        let command = sample(&samples, Tool::OpenStack);
        assert!(command.contains("--fixed-ip subnet=s-1,ip-address=10.0.0.9"));
        let terraform = sample(&samples, Tool::Terraform);
        assert!(terraform.contains("ip_address = \"10.0.0.9\""), "{terraform}");
        assert!(
            terraform.contains("mac_address    = \"fa:16:3e:00:00:01\""),
            "{terraform}"
        );
    }

    #[test]
    fn samples_are_those_of_the_tools_that_are_offered() {
        let tools = |samples: &[Sample]| samples.iter().map(|sample| sample.tool).collect::<Vec<_>>();
        assert_eq!(tools(&net("web", "")), ALL);
        let body: CreateCluster = serde_json::from_str(r#"{"name":"shop"}"#).unwrap();
        assert_eq!(tools(&cluster("", "p", &body)), OWN);
    }

    #[test]
    fn a_cluster_is_a_request_to_our_own_api() {
        let body: CreateCluster = serde_json::from_str(r#"{"name":"shop"}"#).unwrap();
        let samples = cluster("http://h", "p-1", &body);
        assert_eq!(samples.len(), 1);
        let words = words(&samples[0].text);
        assert!(words.contains(&"http://h/portolan/v1/projects/p-1/clusters".to_owned()));
        let sent: CreateCluster = serde_json::from_str(words.last().unwrap()).unwrap();
        assert_eq!(sent, body);
    }
}
