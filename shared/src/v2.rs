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
    /// Drawn by the server; never changes.
    pub id: NetworkId,
    /// At most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed; not unique. Empty if none was given.
    pub name: Cow<'a, str>,
    /// The same as `project_id`, under Neutron's older name.
    pub tenant_id: ProjectId,
    /// The project it is in; never changes.
    pub project_id: ProjectId,
    /// False: `status` is `DOWN`. Nodes' agents are not told of it.
    pub admin_state_up: bool,
    /// In bytes, [`MTU_MIN`](crate::check::MTU_MIN)..=[`MTU_MAX`](crate::check::MTU_MAX);
    /// [`MTU_DEFAULT`](crate::check::MTU_DEFAULT) if the client names none.
    pub mtu: u32,
    /// `ACTIVE`, or `DOWN` while `admin_state_up` is false.
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
    /// Free text, at most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed.
    pub description: Cow<'a, str>,
    /// What its new ports have if their client says nothing. Recorded; agents are not told of it.
    pub port_security_enabled: bool,
    /// A DNS name, or empty. Recorded for clients that ask; Portolan serves no DNS.
    pub dns_domain: Cow<'a, str>,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
    pub revision_number: u64,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet<'a> {
    /// Drawn by the server; never changes.
    pub id: SubnetId,
    /// At most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed; not unique. Empty if none was given.
    pub name: Cow<'a, str>,
    /// The same as `project_id`, under Neutron's older name.
    pub tenant_id: ProjectId,
    /// The project it is in; never changes.
    pub project_id: ProjectId,
    /// The network it is in.
    pub network_id: NetworkId,
    /// 4 or 6.
    pub ip_version: u8,
    /// Always null.
    pub subnetpool_id: Option<String>,
    /// Recorded for clients that ask; Portolan serves no DHCP.
    pub enable_dhcp: bool,
    /// Always null.
    pub ipv6_ra_mode: Option<String>,
    /// Always null.
    pub ipv6_address_mode: Option<String>,
    /// The first host address if the client says nothing; `null` if it asked for none.
    pub gateway_ip: Option<IpAddr>,
    /// Its range of addresses; never changes.
    pub cidr: Cidr,
    /// Where ports get addresses from that name none: sorted, disjoint, without the gateway.
    pub allocation_pools: Cow<'a, [IpRange]>,
    /// Routes for the subnet's hosts. Recorded for clients that ask.
    pub host_routes: Cow<'a, [HostRoute]>,
    /// DNS servers for the subnet's hosts, without duplicates. Recorded for clients that ask.
    pub dns_nameservers: Cow<'a, [IpAddr]>,
    /// Free text, at most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed.
    pub description: Cow<'a, str>,
    /// Always empty.
    pub service_types: Nothing,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
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
    /// Drawn by the server, a pod's by its node's agent; never changes.
    pub id: PortId,
    /// At most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed; not unique. Empty if none was given.
    pub name: Cow<'a, str>,
    /// The network it is in.
    pub network_id: NetworkId,
    /// The same as `project_id`, under Neutron's older name.
    pub tenant_id: ProjectId,
    /// The project it is in; never changes.
    pub project_id: ProjectId,
    /// Unique in the network.
    pub mac_address: MacAddress,
    /// False: `status` is `DOWN`. Nodes' agents are not told of it.
    pub admin_state_up: bool,
    /// `ACTIVE`, `BUILD`, `DOWN` or `ERROR`; derived when read.
    pub status: Cow<'a, str>,
    /// What uses it: `namespace/name` of a pod, the id of a node, else what the client said.
    pub device_id: Cow<'a, str>,
    /// What kind of thing uses it, such as `compute:nova`: set by the client, or `portolan:…` by Portolan alone.
    pub device_owner: Cow<'a, str>,
    /// In the order asked for, at most [`FIXED_IPS_MAX`](crate::check::FIXED_IPS_MAX).
    pub fixed_ips: Vec<FixedIp>,
    /// Always empty.
    pub allowed_address_pairs: Nothing,
    /// Always empty.
    pub extra_dhcp_opts: Nothing,
    /// Always empty.
    pub security_groups: Nothing,
    /// Free text, at most [`NAME_MAX`](crate::check::NAME_MAX) characters, trimmed.
    pub description: Cow<'a, str>,
    /// Always `normal`.
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Cow<'a, str>,
    /// Absent for all but administrators.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding<'a>>,
    /// Recorded for clients that ask; agents are not told of it.
    pub port_security_enabled: bool,
    /// Always empty.
    pub tags: Nothing,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
    pub revision_number: u64,
}
