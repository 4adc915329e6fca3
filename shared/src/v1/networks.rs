//! Networks, subnets, and the addresses a project uses.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{PortKind, Ref};
use crate::addr::Cidr;
use crate::check::{HostRoute, UsedRange};
use crate::ids::{ClusterId, NetworkId, SubnetId};
use crate::status::{PortStatus, Reason};

/// A network in the list and at the top of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkRow {
    /// Drawn by the server; never changes.
    pub id: NetworkId,
    /// At most 255 characters, not unique; empty if none was given.
    pub name: String,
    /// Free text, at most 255 characters.
    pub description: String,
    /// `ACTIVE`, or `DOWN` when switched off.
    pub status: PortStatus,
    /// Why, when not active; of an active one, why a port in it is in error.
    pub reason: Option<Reason>,
    /// All subnets, by address.
    pub subnets: Vec<SubnetRef>,
    /// Addresses used in all subnets' pools.
    pub used: u64,
    /// Addresses in all subnets' pools.
    pub capacity: u64,
    /// Ports the reader may see.
    pub ports: u64,
    /// Ports that are not active (and not merely reserved).
    pub ports_not_active: u64,
    /// The cluster that uses it.
    pub cluster: Option<Ref<ClusterId>>,
    /// Whether it is made and taken away by that cluster.
    pub cluster_owned: bool,
    /// Whether it was given internet access.
    pub internet: bool,
    /// `enable_shadow_port`: its machines reach the provider's services, and nothing else.
    #[serde(default)]
    pub shadow_port: bool,
    /// `router:external`: the provider's, for addresses that are reached from outside.
    #[serde(default)]
    pub external: bool,
    /// In bytes, 68..=9216. A pod's link gets this or the MTU of its node's link, whichever is less.
    pub mtu: u32,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
    pub revision_number: u64,
}

/// A subnet, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubnetRef {
    /// Drawn by the server; never changes.
    pub id: SubnetId,
    /// Empty if none was given.
    pub name: String,
    /// Its range of addresses; never changes.
    pub cidr: Cidr,
}

/// What a subnet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubnetPurpose {
    /// Made by the customer.
    General,
    /// Addresses of a cluster's nodes.
    Nodes,
    /// Blocks of pod addresses; nothing else gets addresses from it.
    Pods,
}

/// A subnet in the list and on its card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubnetRow {
    /// Drawn by the server; never changes.
    pub id: SubnetId,
    /// At most 255 characters, not unique; empty if none was given.
    pub name: String,
    /// Free text, at most 255 characters.
    pub description: String,
    /// The network it is in.
    pub network: Ref<NetworkId>,
    /// Its range of addresses; never changes.
    pub cidr: Cidr,
    /// `None`: no gateway.
    pub gateway: Option<IpAddr>,
    /// Recorded only; Portolan serves no DHCP.
    pub dhcp: bool,
    /// Addresses of DNS servers.
    pub dns: Vec<IpAddr>,
    /// First and last address of each pool.
    pub pools: Vec<(IpAddr, IpAddr)>,
    /// Routes that hosts are told.
    pub routes: Vec<HostRoute>,
    /// Addresses used, in pools and outside.
    pub used: u64,
    /// Of these, held by the provider (seen by nobody else).
    pub provider: u64,
    /// Addresses the pools hold in all.
    pub capacity: u64,
    /// Ports the reader may see.
    pub ports: u64,
    /// Used addresses by kind of holder.
    pub used_by: Vec<(PortKind, u64)>,
    /// What it is for.
    pub purpose: SubnetPurpose,
    /// That a node gets no block of it (`node.no_block`); only of a pod range.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// The cluster it serves, unless general.
    pub cluster: Option<Ref<ClusterId>>,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
    pub revision_number: u64,
}

/// Everything that uses addresses in a project, to check overlap while typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddressSpace {
    /// The revision this was read at; a `change` event with a greater one may make it stale.
    pub revision: u64,
    /// Subnets (pod ranges are subnets) and service ranges.
    pub ranges: Vec<UsedRange>,
}
