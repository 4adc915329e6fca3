//! Bodies of writes, in the Networking API's own shape.

use std::net::IpAddr;

use portolan_shared::addr::IpRange;
use portolan_shared::check::{HostRoute, SubnetSpec};
use serde::Serialize;

/// `POST /v2.0/subnets`.
#[derive(Serialize)]
pub struct CreateSubnet<'a> {
    subnet: Subnet<'a>,
}

#[derive(Serialize)]
struct Subnet<'a> {
    network_id: &'a str,
    name: &'a str,
    description: &'a str,
    cidr: String,
    ip_version: u8,
    gateway_ip: Option<IpAddr>,
    enable_dhcp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_pools: Option<Vec<Pool>>,
    dns_nameservers: &'a [IpAddr],
    host_routes: &'a [HostRoute],
}

#[derive(Serialize)]
struct Pool {
    start: IpAddr,
    end: IpAddr,
}

impl<'a> CreateSubnet<'a> {
    /// What the form checked; pools that are the default are left to the server to fill in.
    pub fn new(network: &'a str, spec: &'a SubnetSpec) -> Self {
        let own = spec.pools != spec.cidr.default_pools(spec.gateway);
        let pool = |pool: &IpRange| Pool {
            start: pool.first(),
            end: pool.last(),
        };
        Self {
            subnet: Subnet {
                network_id: network,
                name: &spec.name,
                description: &spec.description,
                cidr: spec.cidr.to_string(),
                ip_version: spec.cidr.family().number(),
                gateway_ip: spec.gateway,
                enable_dhcp: spec.enable_dhcp,
                allocation_pools: own.then(|| spec.pools.iter().map(pool).collect()),
                dns_nameservers: &spec.dns,
                host_routes: &spec.routes,
            },
        }
    }
}

/// `POST /v2.0/ports`.
#[derive(Serialize)]
pub struct CreatePort<'a> {
    port: Port<'a>,
}

#[derive(Serialize)]
struct Port<'a> {
    network_id: &'a str,
    name: &'a str,
    description: &'a str,
    admin_state_up: bool,
    fixed_ips: Vec<FixedIp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_address: Option<String>,
}

#[derive(Serialize)]
struct FixedIp<'a> {
    subnet_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<IpAddr>,
}

/// What a new port is to be, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// At most 255 characters, trimmed; may be empty.
    pub name: String,
    /// At most 255 characters, trimmed; may be empty.
    pub description: String,
    /// Becomes `admin_state_up`.
    pub enabled: bool,
    /// Addresses asked for; none: any free one of the subnet.
    pub addresses: Vec<IpAddr>,
    /// `None`: given by the server.
    pub mac: Option<String>,
}

impl<'a> CreatePort<'a> {
    /// In one subnet: any free address, or the ones asked for.
    pub fn new(network: &'a str, subnet: &'a str, spec: &'a PortSpec) -> Self {
        let fixed = |address: &IpAddr| FixedIp {
            subnet_id: subnet,
            ip_address: Some(*address),
        };
        let fixed_ips = if spec.addresses.is_empty() {
            vec![FixedIp {
                subnet_id: subnet,
                ip_address: None,
            }]
        } else {
            spec.addresses.iter().map(fixed).collect()
        };
        Self {
            port: Port {
                network_id: network,
                name: &spec.name,
                description: &spec.description,
                admin_state_up: spec.enabled,
                fixed_ips,
                mac_address: spec.mac.clone(),
            },
        }
    }
}

/// `POST /v2.0/networks`.
#[derive(Serialize)]
pub struct CreateNetwork<'a> {
    network: Network<'a>,
}

#[derive(Serialize)]
struct Network<'a> {
    name: &'a str,
    description: &'a str,
    admin_state_up: bool,
    internet_access: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_shadow_port: bool,
}

/// What a new network is to be, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Not empty.
    pub name: String,
    /// At most 255 characters, trimmed; may be empty.
    pub description: String,
    /// Becomes `internet_access`.
    pub internet: bool,
    /// `enable_shadow_port`: the provider's services; never with internet access.
    pub services: bool,
}

impl<'a> CreateNetwork<'a> {
    /// A network without subnets.
    pub fn new(spec: &'a NetworkSpec) -> Self {
        Self {
            network: Network {
                name: &spec.name,
                description: &spec.description,
                admin_state_up: true,
                internet_access: spec.internet,
                enable_shadow_port: spec.services,
            },
        }
    }
}

/// `PUT /v2.0/ports/{id}`: the switch alone.
#[derive(Serialize)]
pub struct SwitchPort {
    port: Switch,
}

#[derive(Serialize)]
struct Switch {
    admin_state_up: bool,
}

impl SwitchPort {
    /// On or off.
    pub fn new(enabled: bool) -> Self {
        Self {
            port: Switch {
                admin_state_up: enabled,
            },
        }
    }
}

/// A body without anything to say.
#[derive(Serialize)]
pub struct Empty {}

/// What the answer to a create is read for.
#[derive(serde::Deserialize)]
pub struct Made {
    /// The new object, whatever it is.
    #[serde(alias = "subnet", alias = "port", alias = "network")]
    pub object: MadeObject,
}

/// Id and name of a new object.
#[derive(serde::Deserialize)]
pub struct MadeObject {
    /// Drawn by the server.
    pub id: String,
    /// Empty if it has none.
    #[serde(default)]
    pub name: String,
}

#[cfg(test)]
mod tests {
    use portolan_shared::check::{self, GatewayInput, SubnetInput};

    use super::*;

    fn subnet(input: &SubnetInput) -> serde_json::Value {
        let spec = check::subnet(input).unwrap();
        serde_json::to_value(CreateSubnet::new("n", &spec)).unwrap()
    }

    #[test]
    fn a_subnet_is_sent_as_the_networking_api_has_it() {
        let input = SubnetInput {
            name: " web ".into(),
            cidr: "10.0.0.0/24".into(),
            ..SubnetInput::default()
        };
        let body = subnet(&input);
        assert_eq!(body["subnet"]["name"], "web");
        assert_eq!(body["subnet"]["gateway_ip"], "10.0.0.1");
        assert!(
            body["subnet"].get("allocation_pools").is_none(),
            "default pools are the server's to fill in"
        );

        let own = SubnetInput {
            gateway: GatewayInput::None,
            pools: Some(vec![("10.0.0.9".into(), "10.0.0.12".into())]),
            ..input
        };
        let body = subnet(&own);
        assert!(body["subnet"]["gateway_ip"].is_null() && body["subnet"].get("gateway_ip").is_some());
        assert_eq!(body["subnet"]["allocation_pools"][0]["end"], "10.0.0.12");
    }

    #[test]
    fn a_port_asks_for_the_subnet_or_for_addresses() {
        let mut spec = PortSpec {
            name: String::new(),
            description: String::new(),
            enabled: true,
            addresses: vec![],
            mac: None,
        };
        let body = |spec: &PortSpec| serde_json::to_value(CreatePort::new("n", "s", spec)).unwrap();
        assert_eq!(
            body(&spec)["port"]["fixed_ips"],
            serde_json::json!([{"subnet_id": "s"}])
        );
        spec.addresses = vec!["10.0.0.9".parse().unwrap()];
        assert_eq!(body(&spec)["port"]["fixed_ips"][0]["ip_address"], "10.0.0.9");
        assert!(body(&spec)["port"].get("mac_address").is_none());
    }

    #[test]
    fn the_answer_to_a_create_names_the_object() {
        let made: Made = serde_json::from_str(r#"{"subnet":{"id":"1","name":"web","cidr":"x"}}"#).unwrap();
        assert_eq!((made.object.id.as_str(), made.object.name.as_str()), ("1", "web"));
    }
}
