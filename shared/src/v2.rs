//! `/v2.0` on the wire: OpenStack Networking as its clients write and read it.
//!
//! Requests hold what a client may send in a create; what is left out is left to the server.
//! Answers carry every attribute, as Neutron's do. Times are RFC 3339, UTC, to the second.
//! Attributes that only an administrator sees are absent for others. Answers borrow their texts where
//! the server has them, and own them where a client reads them.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::addr::{Cidr, IpRange};
use crate::check::HostRoute;
use crate::ids::{NetworkId, PortId, ProjectId, SubnetId};
use crate::mac::MacAddress;
use crate::time::Time;

// ---- envelopes ----

/// `{"network": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneNetwork<T> {
    /// The network.
    pub network: T,
}

/// `{"subnet": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneSubnet<T> {
    /// The subnet.
    pub subnet: T,
}

/// `{"port": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnePort<T> {
    /// The port.
    pub port: T,
}

/// `{"networks": […]}`: a list, or a bulk create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManyNetworks<T> {
    /// The networks.
    pub networks: Vec<T>,
    /// Where the next and the previous page are; only in paged lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks_links: Vec<Link>,
}

/// `{"subnets": […]}`: a list, or a bulk create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManySubnets<T> {
    /// The subnets.
    pub subnets: Vec<T>,
    /// Where the next and the previous page are; only in paged lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets_links: Vec<Link>,
}

/// `{"ports": […]}`: a list, or a bulk create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManyPorts<T> {
    /// The ports.
    pub ports: Vec<T>,
    /// Where the next and the previous page are; only in paged lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports_links: Vec<Link>,
}

/// A link to another page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `next` or `previous`.
    pub rel: String,
    /// The whole URL.
    pub href: String,
}

// ---- requests ----

/// A network to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkCreate {
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Absent: switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Bytes; absent: 1500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Default for its ports; absent: on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_security_enabled: Option<bool>,
    /// Zone of its ports' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_domain: Option<String>,
    /// Another project, which only an administrator may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

/// What a subnet to be made gets as gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gateway {
    /// The attribute is left out: the first address.
    #[default]
    Default,
    /// `null`: none.
    None,
    /// This one.
    Address(IpAddr),
}

impl Gateway {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl Serialize for Gateway {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Default | Self::None => serializer.serialize_none(),
            Self::Address(address) => address.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Gateway {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<IpAddr>::deserialize(deserializer)?.map_or(Self::None, Self::Address))
    }
}

/// A subnet to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetCreate {
    /// The network it is in.
    pub network_id: NetworkId,
    /// Its addresses.
    pub cidr: Cidr,
    /// 4 or 6, as the CIDR is.
    pub ip_version: u8,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Left out, `null` or an address.
    #[serde(default, skip_serializing_if = "Gateway::is_default")]
    pub gateway_ip: Gateway,
    /// Absent: everything but the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_pools: Option<Vec<IpRange>>,
    /// DNS servers told to hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes told to hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_routes: Vec<HostRoute>,
    /// Recorded only; absent: on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_dhcp: Option<bool>,
}

/// A fixed IP as asked for: a subnet, an address, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FixedIpCreate {
    /// Any address of this subnet, unless one is named too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<SubnetId>,
    /// This address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddr>,
}

/// A port to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCreate {
    /// The network it is in.
    pub network_id: NetworkId,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Absent: given by the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<MacAddress>,
    /// Absent: one address of each family the network has subnets of; empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_ips: Option<Vec<FixedIpCreate>>,
    /// Absent: switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Who uses it, such as `compute:nova`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_owner: Option<String>,
    /// What uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Absent: as the network says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_security_enabled: Option<bool>,
}

// ---- answers ----

/// A list that is always empty, for attributes of extensions that are not there.
pub type Nothing = [(); 0];

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network<'a> {
    /// Its id.
    pub id: NetworkId,
    /// May be empty.
    pub name: Cow<'a, str>,
    /// The project.
    pub tenant_id: ProjectId,
    /// The project, under its newer name.
    pub project_id: ProjectId,
    /// Switched on.
    pub admin_state_up: bool,
    /// Bytes.
    pub mtu: u32,
    /// `ACTIVE` or `DOWN`.
    pub status: Cow<'a, str>,
    /// Its subnets.
    pub subnets: Vec<SubnetId>,
    /// Always false: networks are of one project.
    pub shared: bool,
    /// Always false.
    #[serde(rename = "router:external")]
    pub router_external: bool,
    /// Always empty.
    pub availability_zone_hints: Nothing,
    /// Always empty.
    pub availability_zones: Nothing,
    /// Always null.
    pub ipv4_address_scope: Option<String>,
    /// Always null.
    pub ipv6_address_scope: Option<String>,
    /// May be empty.
    pub description: Cow<'a, str>,
    /// Default for its ports.
    pub port_security_enabled: bool,
    /// May be empty.
    pub dns_domain: Cow<'a, str>,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// For `If-Match`.
    pub revision_number: u64,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet<'a> {
    /// Its id.
    pub id: SubnetId,
    /// May be empty.
    pub name: Cow<'a, str>,
    /// The project.
    pub tenant_id: ProjectId,
    /// The project, under its newer name.
    pub project_id: ProjectId,
    /// The network it is in.
    pub network_id: NetworkId,
    /// 4 or 6.
    pub ip_version: u8,
    /// Always null.
    pub subnetpool_id: Option<String>,
    /// Recorded only.
    pub enable_dhcp: bool,
    /// Always null.
    pub ipv6_ra_mode: Option<String>,
    /// Always null.
    pub ipv6_address_mode: Option<String>,
    /// `null`: none.
    pub gateway_ip: Option<IpAddr>,
    /// Its addresses.
    pub cidr: Cidr,
    /// Sorted, disjoint.
    pub allocation_pools: Cow<'a, [IpRange]>,
    /// Routes told to hosts.
    pub host_routes: Cow<'a, [HostRoute]>,
    /// DNS servers told to hosts.
    pub dns_nameservers: Cow<'a, [IpAddr]>,
    /// May be empty.
    pub description: Cow<'a, str>,
    /// Always empty.
    pub service_types: Nothing,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// For `If-Match`.
    pub revision_number: u64,
}

/// An address of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// The address.
    pub ip_address: IpAddr,
}

/// An object that is always `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Where a port is bound; only an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding<'a> {
    /// The node's name, or what a client set.
    #[serde(rename = "binding:host_id")]
    pub host_id: Cow<'a, str>,
    /// `other` when bound to a node, else `unbound`.
    #[serde(rename = "binding:vif_type")]
    pub vif_type: Cow<'a, str>,
    /// Always empty.
    #[serde(rename = "binding:vif_details")]
    pub vif_details: Empty,
    /// Always empty.
    #[serde(rename = "binding:profile")]
    pub profile: Empty,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port<'a> {
    /// Its id.
    pub id: PortId,
    /// May be empty.
    pub name: Cow<'a, str>,
    /// The network it is in.
    pub network_id: NetworkId,
    /// The project.
    pub tenant_id: ProjectId,
    /// The project, under its newer name.
    pub project_id: ProjectId,
    /// Unique in the network.
    pub mac_address: MacAddress,
    /// Switched on.
    pub admin_state_up: bool,
    /// `ACTIVE`, `BUILD`, `DOWN` or `ERROR`; derived when read.
    pub status: Cow<'a, str>,
    /// What uses it.
    pub device_id: Cow<'a, str>,
    /// Who uses it.
    pub device_owner: Cow<'a, str>,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// Always empty.
    pub allowed_address_pairs: Nothing,
    /// Always empty.
    pub extra_dhcp_opts: Nothing,
    /// Always empty.
    pub security_groups: Nothing,
    /// May be empty.
    pub description: Cow<'a, str>,
    /// Always `normal`.
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Cow<'a, str>,
    /// Absent for all but administrators.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding<'a>>,
    /// Whether filters apply.
    pub port_security_enabled: bool,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// For `If-Match`.
    pub revision_number: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_sent() {
        let network = OneNetwork {
            network: NetworkCreate {
                name: Some("web".into()),
                ..NetworkCreate::default()
            },
        };
        assert_eq!(
            serde_json::to_string(&network).unwrap(),
            r#"{"network":{"name":"web"}}"#
        );
    }

    #[test]
    fn a_gateway_is_left_out_null_or_an_address() {
        let mut subnet = SubnetCreate {
            network_id: NetworkId::from_bytes([1; 16]),
            cidr: "10.0.0.0/24".parse().unwrap(),
            ip_version: 4,
            name: None,
            description: None,
            gateway_ip: Gateway::Default,
            allocation_pools: None,
            dns_nameservers: vec![],
            host_routes: vec![],
            enable_dhcp: None,
        };
        let sent = |subnet: &SubnetCreate| serde_json::to_value(subnet).unwrap();
        assert!(sent(&subnet).get("gateway_ip").is_none());
        subnet.gateway_ip = Gateway::None;
        assert!(sent(&subnet)["gateway_ip"].is_null() && sent(&subnet).get("gateway_ip").is_some());
        assert_eq!(serde_json::from_value::<SubnetCreate>(sent(&subnet)).unwrap(), subnet);
        subnet.gateway_ip = Gateway::Address("10.0.0.9".parse().unwrap());
        assert_eq!(sent(&subnet)["gateway_ip"], "10.0.0.9");
    }
}
