//! `/v2.0` on the wire: OpenStack Networking as its clients read it.
//!
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

/// A link to another page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `next` or `previous`.
    pub rel: String,
    /// The whole URL.
    pub href: String,
}

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
    /// The provider's way to the outside; set by administrators.
    #[serde(rename = "router:external")]
    pub router_external: bool,
    /// Ours: its machines are to reach the internet.
    pub internet_access: bool,
    /// Ours: its machines reach the provider's services.
    pub enable_shadow_port: bool,
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
