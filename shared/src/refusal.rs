//! Every way a request can be refused, once, for browser and server.
//!
//! A refusal says what, why and what now. Its code is stable: tests and translations go by code and
//! parameters; the sentence is English and may be reworded.

use std::net::IpAddr;

use crate::addr::{Cidr, IpRange};
use crate::holder::{Holder, Holders};
use crate::kinds::quarantined_blocks::HeldBlocks;
use crate::mac::MacAddress;
use crate::time::Time;

/// A value of a refusal's sentence, as programs and translations read it. Where it says the same in
/// every language (names, numbers, addresses), that is what the sentence has; else a stable word.
pub trait Param {
    /// The parameter's text.
    fn param(&self) -> String;
}

macro_rules! as_written {
    ($($type:ty)*) => { $(impl Param for $type {
        fn param(&self) -> String {
            self.to_string()
        }
    })* };
}

impl<T: Param> Param for Box<T> {
    fn param(&self) -> String {
        (**self).param()
    }
}

as_written! { String u8 u32 u64 usize i64 IpAddr Cidr IpRange MacAddress Time }

/// Why a range of addresses can be no subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It is every address there is.
    Everything,
    /// For multicast (RFC 5771, RFC 4291 section 2.7).
    Multicast,
    /// For loopback (RFC 1122, RFC 4291 section 2.5.3).
    Loopback,
    /// Kept for other uses (RFC 6890).
    Reserved,
    /// Link-local (RFC 3927, RFC 4291 section 2.5.6).
    LinkLocal,
}

impl Unusable {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Everything,
        Self::Multicast,
        Self::Loopback,
        Self::Reserved,
        Self::LinkLocal,
    ];
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Everything => "it is every address there is",
            Self::Multicast => "its addresses are for multicast",
            Self::Loopback => "its addresses are for loopback",
            Self::Reserved => "its addresses are reserved",
            Self::LinkLocal => "its addresses are link-local",
        })
    }
}

impl Param for Unusable {
    fn param(&self) -> String {
        let word = match self {
            Self::Everything => "everything",
            Self::Multicast => "multicast",
            Self::Loopback => "loopback",
            Self::Reserved => "reserved",
            Self::LinkLocal => "link_local",
        };
        word.to_owned()
    }
}

/// What kind of answer a refusal is; servers map it to a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request itself is wrong (400).
    Invalid,
    /// Nobody is logged in, or no longer (401).
    Unauthorized,
    /// Logged in, but not allowed (403).
    Forbidden,
    /// There is no such thing, or the caller may not see it (404).
    NotFound,
    /// Right in itself, but not in the present state (409).
    Conflict,
    /// The object changed since the caller read it (412).
    Precondition,
    /// Too large (413).
    TooLarge,
    /// The same idempotency key was used for something else (422).
    Unprocessable,
    /// A quota is used up (409, with a Neutron type of its own).
    OverQuota,
    /// Not now; trying again later may help (503).
    Unavailable,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $class:ident $code:literal $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? } $sentence:literal;)*) => {
        /// Why a request is refused.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs, reason = "fields are the parameters of the sentence beside them")]
        pub enum Refusal {
            $($(#[$doc])* #[error($sentence)] $name { $($field: $type),* },)*
        }

        impl Refusal {
            /// The stable code, such as `subnet.overlap`.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name { .. } => $code,)* }
            }

            /// What kind of answer this is.
            pub fn class(&self) -> Class {
                match self { $(Self::$name { .. } => Class::$class,)* }
            }

            /// The values a translated sentence needs, by name.
            pub fn params(&self) -> Vec<(&'static str, String)> {
                match self { $(Self::$name { $($field),* } => vec![$((stringify!($field), $field.param())),*],)* }
            }

            /// Every code there is, for the tests that every language has a sentence for each.
            pub const CODES: &'static [&'static str] = &[$($code),*];

            /// Code, class and English sentence of each, for documents.
            pub const TABLE: &'static [(&'static str, Class, &'static str)] =
                &[$(($code, Class::$class, $sentence)),*];
        }
    };
}

refusals! {
    // ---- the request itself ----
    Invalid "body.malformed" Malformed { detail: String }
        "The request body cannot be read: {detail}.";
    Invalid "body.unknown_attribute" UnknownAttribute { field: String }
        "Unrecognized attribute(s) '{field}'.";
    Invalid "body.read_only" ReadOnly { field: String }
        "Attribute '{field}' cannot be set or changed here.";
    Invalid "value.wrong_type" WrongType { field: String, expected: String }
        "'{field}' must be {expected}.";
    Invalid "value.required" Required { field: String }
        "'{field}' is required.";
    Invalid "value.too_long" TooLong { field: String, max: usize, length: usize }
        "'{field}' has {length} characters; at most {max} are allowed.";
    Invalid "value.too_short" TooShort { field: String, min: usize, length: usize }
        "'{field}' has {length} characters; at least {min} are needed.";
    Invalid "value.too_many" TooMany { field: String, max: usize, count: usize }
        "'{field}' has {count} entries; at most {max} are allowed.";
    Invalid "value.control_character" ControlCharacter { field: String }
        "'{field}' contains a control character. Remove it.";
    Invalid "value.out_of_range" OutOfRange { field: String, value: i64, min: i64, max: i64 }
        "'{field}' is {value}; it must be between {min} and {max}.";
    Invalid "value.not_an_id" NotAnId { field: String, given: String }
        "'{given}' is not an ID ('{field}').";
    Invalid "value.not_an_address" NotAnAddress { field: String, given: String }
        "'{given}' is not an IP address ('{field}').";
    Invalid "value.not_a_cidr" NotACidr { field: String, given: String }
        "'{given}' is not a network in CIDR form, such as 10.0.0.0/24 ('{field}').";
    Invalid "value.host_bits" HostBits { field: String, given: String, offered: Cidr }
        "{given} has bits beyond its prefix set; the network is {offered}.";
    Invalid "value.not_a_mac" NotAMac { field: String, given: String }
        "'{given}' is not a usable MAC address, such as fa:16:3e:00:00:01 ('{field}').";
    Invalid "value.not_a_label" NotALabel { field: String, given: String }
        "'{given}' must start with a letter, hold only a-z, 0-9 and '-', and not end with '-' ('{field}').";
    Invalid "value.not_a_dns_name" NotADnsName { field: String, given: String }
        "'{given}' is not a DNS name: labels of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-' ('{field}').";
    Invalid "value.not_one_of" NotOneOf { field: String, given: String, allowed: String }
        "'{given}' is not allowed for '{field}'; allowed are {allowed}.";
    Invalid "value.not_a_time" NotATime { field: String, given: String }
        "'{given}' is not a time in RFC 3339 form, such as 2026-12-31T00:00:00Z ('{field}').";
    Invalid "value.in_the_past" InThePast { field: String, given: String }
        "{given} has passed already ('{field}'). Name a later time.";

    // ---- subnets ----
    Invalid "subnet.family" SubnetFamily { cidr: Cidr, ip_version: u8 }
        "{cidr} is not a network of IP version {ip_version}.";
    Invalid "subnet.not_usable" SubnetNotUsable { cidr: Cidr, reason: Unusable }
        "{cidr} cannot be a subnet: {reason}.";
    Invalid "subnet.gateway_outside" GatewayOutside { gateway: IpAddr, cidr: Cidr }
        "The gateway {gateway} is not in {cidr}.";
    Invalid "subnet.gateway_reserved" GatewayReserved { gateway: IpAddr, cidr: Cidr }
        "{gateway} is the network or broadcast address of {cidr} and cannot be the gateway.";
    Invalid "subnet.gateway_in_pool" GatewayInPool { gateway: IpAddr, pool: IpRange }
        "The gateway {gateway} lies in the pool {pool}. Leave it out of the pool.";
    Invalid "subnet.pool_reversed" PoolReversed { start: IpAddr, end: IpAddr }
        "The pool {start}-{end} ends before it starts.";
    Invalid "subnet.pool_outside" PoolOutside { pool: IpRange, cidr: Cidr }
        "The pool {pool} is not inside the usable addresses of {cidr}.";
    Invalid "subnet.pools_overlap" PoolsOverlap { pool: IpRange, other: IpRange }
        "The pools {pool} and {other} overlap.";
    Invalid "subnet.dns_duplicate" DnsDuplicate { address: IpAddr }
        "{address} is named twice as a DNS server.";
    Invalid "subnet.route_hop_outside" HopOutside { next_hop: IpAddr, cidr: Cidr }
        "The next hop {next_hop} is not in {cidr}.";
    Invalid "subnet.route_to_itself" RouteToItself { destination: Cidr }
        "The destination {destination} is the subnet itself.";
    /// Same network (or same router): an error; Neutron answers 400 InvalidInput.
    Invalid "subnet.overlap" Overlap { cidr: Cidr, what: Box<Holder>, other_cidr: Cidr, network: String, shared: IpRange }
        "{cidr} overlaps {what} ({other_cidr}) in network {network}: {shared}.";
    Conflict "subnet.in_use" SubnetInUse { subnet: String, holders: Holders }
        "Addresses of subnet {subnet} are in use by {holders}. Delete what uses them first.";
    Conflict "subnet.owned" SubnetOwned { subnet: String, owner: Holder }
        "Subnet {subnet} belongs to {owner}. It goes when that is deleted.";

    // ---- networks ----
    Conflict "network.in_use" NetworkInUse { network: String, holders: Holders }
        "Network {network} is in use by {holders}. Delete what uses it first.";
    Conflict "network.owned" NetworkOwned { network: String, owner: Holder }
        "Network {network} belongs to {owner}. It goes when that is deleted.";
    Forbidden "network.shadow_port_not_granted" ShadowPortNotGranted { project: String }
        "Project {project} may not use the provider's services without internet access yet. Request it from support (shadowport) with the project ID.";
    Conflict "network.shadow_port_with_internet" ShadowPortWithInternet { network: String }
        "Network {network} has internet access; a shadow port is only for networks without it. Switch internet access off first.";
    Conflict "network.shadow_port_stays" ShadowPortStays { network: String }
        "The shadow port of network {network} cannot be switched off again. Delete the network instead.";
    Conflict "network.internet_with_shadow_port" InternetWithShadowPort { network: String }
        "Network {network} has a shadow port and so can never have internet access. Use another network.";
    Conflict "network.no_room_for_shadow_port" NoRoomForShadowPort { subnet: String, cidr: Cidr }
        "Subnet {subnet} ({cidr}) has no free address for the way to the provider's services. Free one, or take a larger subnet.";
    Conflict "network.internet_in_use" InternetInUse { network: String, holders: Holders }
        "Internet access of network {network} is in use by {holders}. Delete what uses it first.";

    // ---- ports and addresses ----
    Invalid "port.address_outside" AddressOutside { address: IpAddr, subnet: String, cidr: Cidr }
        "{address} is not a usable address of subnet {subnet} ({cidr}).";
    Invalid "port.address_outside_network" AddressOutsideNetwork { address: IpAddr, network: String }
        "{address} is in no subnet of network {network}.";
    Invalid "port.fixed_ip_empty" FixedIpEmpty {}
        "A fixed IP needs a subnet_id, an ip_address, or both.";
    Invalid "port.address_twice" AddressTwice { address: IpAddr }
        "{address} is asked for twice.";
    Invalid "port.subnet_elsewhere" SubnetElsewhere { subnet: String, network: String }
        "Subnet {subnet} is not in network {network}.";
    Conflict "port.address_taken" AddressTaken { address: IpAddr, subnet: String, holder: Holder }
        "{address} in subnet {subnet} is taken by {holder}.";
    Conflict "port.address_in_block" AddressInBlock { address: IpAddr, subnet: String, node: String }
        "{address} in subnet {subnet} lies in a block of pod addresses leased to node {node}.";
    Conflict "port.pod_range" PodRange { subnet: String, cluster: String }
        "Subnet {subnet} is the pod range of cluster {cluster}; only its nodes give addresses from it.";
    Conflict "port.exhausted" Exhausted { subnet: String, cidr: Cidr, pools: String, used: u64, used_by: Holders }
        "Subnet {subnet} ({cidr}) has no free address: its pools {pools} are full with {used} addresses ({used_by}). Delete ports or add a subnet.";
    Conflict "port.mac_taken" MacTaken { mac: MacAddress, network: String, holder: Holder }
        "{mac} is used in network {network} by {holder}.";
    Conflict "port.owned" PortOwned { port: String, owner: Holder }
        "Port {port} belongs to {owner}. Delete it there.";
    Conflict "port.always_on" PortAlwaysOn { port: String, owner: Holder }
        "Port {port} belongs to {owner} and cannot be switched off: nothing would stop its traffic. Delete it there.";
    Forbidden "port.device_owner_reserved" DeviceOwnerReserved { given: String }
        "device_owner '{given}' is Portolan's own to set. Choose another, or leave it out.";

    // ---- quotas, revisions, idempotency ----
    OverQuota "quota.exceeded" OverQuota { resource: String, limit: u64, used: u64 }
        "Quota exceeded for resources: ['{resource}'] ({used} of {limit} used). Delete some or ask for more.";
    Precondition "revision.mismatch" RevisionMismatch { kind: String, id: String, expected: u64, actual: u64 }
        "{kind} {id} is at revision {actual}, not {expected}: it changed meanwhile. Read it again.";
    Unprocessable "idempotency.other_body" IdempotencyOtherBody { key: String }
        "The idempotency key '{key}' was used for another request within 24 h.";

    // ---- clusters and nodes ----
    Conflict "cluster.name_taken" ClusterNameTaken { name: String }
        "There is a cluster {name} in this project already.";
    Invalid "cluster.ranges_overlap" RangesOverlap { range: Cidr, other: Cidr, what: Holder }
        "{range} overlaps {other} ({what}).";
    Conflict "cluster.no_internet" ClusterNoInternet { network: String }
        "Network {network} has no internet access, so a cluster in it cannot have an external IP. Switch that on for the network, or create the cluster without an external IP.";
    Conflict "cluster.no_services" ClusterNoServices { network: String }
        "A cluster without external IP in network {network} could not reach the control plane, the registry, time and names: the network has no shadow port. Switch that on for the network, or take another.";
    Conflict "cluster.no_external_network" NoExternalNetwork {}
        "The provider has no network for external IPs. Create the cluster without an external IP, or ask an administrator to make one.";
    Conflict "cluster.external_exhausted" ExternalExhausted {}
        "The provider has no external IP left. Ask support, or create the cluster without one.";
    Conflict "cluster.no_free_range" NoFreeRange { within: Cidr, prefix: u8 }
        "The ranges of this project leave no /{prefix} of {within} free. Name a range outside of that.";
    Conflict "cluster.node_subnet" NodeSubnetOwned { subnet: String, cluster: String }
        "Subnet {subnet} was made for cluster {cluster} and goes with it, so no other cluster can have nodes in it. Take a subnet of your own.";
    Conflict "cluster.node_subnet_full" NodeSubnetFull { subnet: String, free: u64, nodes: u32 }
        "Subnet {subnet} has too few free addresses for nodes: {free} free, {nodes} needed. Take a larger one.";
    Invalid "cluster.few_blocks" FewBlocks { pod_range: Cidr, blocks: u64, nodes: u32 }
        "The pod range {pod_range} has too few blocks of addresses for nodes: {blocks} blocks, {nodes} nodes, and each needs one. Take a larger range.";
    Conflict "cluster.no_lab" NoLab {}
        "No lab runs with this control plane. Let nodes join by command.";
    Conflict "node.name_taken" NodeNameTaken { name: String, cluster: String }
        "There is a node {name} in cluster {cluster} already.";
    Conflict "node.address_mismatch" NodeAddressMismatch { node: String, given: String, expected: String }
        "Node {node} reports {given}, but its port has {expected}.";
    Conflict "node.outside_range" NodeOutsideRange { node: String, given: String, range: Cidr }
        "Node {node} reports {given}; none of these is in {range}, the range of its cluster's nodes.";
    Conflict "node.no_free_block" NoFreeBlock { cluster: String, pod_range: Cidr, blocks: u64, held: HeldBlocks }
        "The pod range {pod_range} of cluster {cluster} has no free block: all {blocks} are leased{held}.";
    Invalid "block.other_name" OtherName { block: Cidr, node: String, given: String }
        "Block {block} is held by the machine that was node {node}. To state that this machine is off, type '{node}', not '{given}'.";
    Forbidden "node.outside_lease" OutsideLease { address: IpAddr, node: String }
        "{address} is in no block leased to node {node}.";
    Forbidden "token.unknown" TokenUnknown {}
        "This join token is not known. Make a new one.";
    Forbidden "token.spent" TokenSpent {}
        "This join token was used already. Make a new one.";
    Forbidden "token.expired" TokenExpired {}
        "This join token has expired. Make a new one.";
    Forbidden "node.removed" NodeRemoved {}
        "This node was removed from its cluster.";
    Conflict "node.copied" NodeCopied { node: String }
        "Two machines have shown the identity of node {node}: neither is leased a block before one of them has joined anew, or one is off and an administrator has admitted the other.";
    Unavailable "clock.behind" ClockBehind { now: Time, newest: Time }
        "The control plane's clock says {now}, and it has written something at {newest} already. Until its clock is right it issues neither certificates nor join tokens. Set the clock of its machine (such as by NTP); if the earlier time was wrong, that counts after an hour.";
    Unavailable "agent.no_endpoint" NoAgentEndpoint {}
        "This control plane was started without an agent endpoint (--agent-listen), so nodes cannot join.";

    // ---- shadowport requests ----
    Conflict "request.open" RequestOpen { request: String }
        "This project has an open request already ({request}). Write there, or withdraw it first.";
    Conflict "request.granted_already" RequestGrantedAlready { request: String }
        "This project has the grant already (request {request}).";
    Conflict "request.decided" RequestDecided { state: String, by: String, at: String }
        "Already {state} by {by} at {at}. Nothing was changed.";
    Conflict "request.not_granted" RequestNotGranted { state: String }
        "This request is {state}: there is no grant to revoke.";
    Conflict "request.full" RequestFull { max: usize }
        "This thread has {max} messages; no more fit. File a new request that quotes this one.";

    // ---- who ----
    Unauthorized "auth.required" AuthRequired {}
        "The request you have made requires authentication.";
    Unauthorized "auth.failed" AuthFailed {}
        "Could not log in: the user or the password is wrong, or the user has no role in the project.";
    Unauthorized "auth.expired" AuthExpired {}
        "The session or token is not valid any more. Log in again.";
    Forbidden "auth.csrf" Csrf {}
        "The request lacks the CSRF header of this session.";
    Forbidden "auth.forbidden" NotAllowed { action: String, needs: String }
        "You may not {action}; that needs the role {needs}.";
    Forbidden "auth.no_project" NoProject {}
        "This is asked in a project, and none was named. Scope the token to one, or name one in X-Portolan-Project.";
    Unavailable "auth.busy" AuthBusy {}
        "Too many log-ins at once. Try again in a second.";

    // ---- the rest ----
    NotFound "not_found" NotFound { kind: String, id: String }
        "{kind} {id} could not be found.";
    Conflict "name.taken" NameTaken { kind: String, name: String }
        "There is a {kind} named {name} already.";
    TooLarge "body.too_large" TooLarge { max: usize }
        "The request is larger than {max} bytes.";
    Conflict "in_use" InUse { kind: String, name: String, holders: Holders }
        "{kind} {name} is in use by {holders}.";
    Unavailable "store.full" StoreFull {}
        "Nothing was written: the disk of the control plane's database is full. Its operator has to make room there; then try again.";
    Unavailable "store.unavailable" StoreUnavailable { reason: String }
        "The store cannot write now ({reason}). Nothing was changed; try again.";
    /// The one refusal after which the change may be there all the same.
    Unavailable "store.unknown" StoreUnknown { reason: String }
        "It is not known whether this was written ({reason}). Look before you try again.";
}

impl Refusal {
    /// The field of the request that is wrong, when it is one: errors show beside it.
    pub fn field(&self) -> Option<String> {
        let named = self
            .params()
            .into_iter()
            .find(|(name, _)| *name == "field")
            .map(|(_, value)| value);
        named.or_else(|| {
            let field = match self {
                Self::SubnetFamily { .. } | Self::SubnetNotUsable { .. } | Self::Overlap { .. } => "cidr",
                Self::GatewayOutside { .. } | Self::GatewayReserved { .. } => "gateway_ip",
                Self::GatewayInPool { .. }
                | Self::PoolReversed { .. }
                | Self::PoolOutside { .. }
                | Self::PoolsOverlap { .. } => "allocation_pools",
                Self::DnsDuplicate { .. } => "dns_nameservers",
                Self::HopOutside { .. } | Self::RouteToItself { .. } => "host_routes",
                Self::AddressOutside { .. }
                | Self::AddressOutsideNetwork { .. }
                | Self::FixedIpEmpty {}
                | Self::AddressTwice { .. }
                | Self::SubnetElsewhere { .. }
                | Self::AddressTaken { .. }
                | Self::AddressInBlock { .. }
                | Self::PodRange { .. }
                | Self::Exhausted { .. } => "fixed_ips",
                Self::MacTaken { .. } => "mac_address",
                Self::PortAlwaysOn { .. } => "admin_state_up",
                Self::DeviceOwnerReserved { .. } => "device_owner",
                Self::ClusterNameTaken { .. } | Self::NodeNameTaken { .. } => "name",
                Self::ShadowPortNotGranted { .. }
                | Self::ShadowPortWithInternet { .. }
                | Self::ShadowPortStays { .. }
                | Self::NoRoomForShadowPort { .. } => "enable_shadow_port",
                Self::InternetWithShadowPort { .. } | Self::InternetInUse { .. } => "internet_access",
                Self::ClusterNoInternet { .. }
                | Self::ClusterNoServices { .. }
                | Self::NoExternalNetwork {}
                | Self::ExternalExhausted {} => "external_ip",
                Self::NodeSubnetOwned { .. } | Self::NodeSubnetFull { .. } => "node_subnet",
                Self::FewBlocks { .. } => "pod_range",
                Self::OtherName { .. } => "machine_off",
                Self::NoLab {} => "nodes_from",
                _ => return None,
            };
            Some(field.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::holder::Several;

    #[test]
    fn codes_are_unique() {
        let unique: HashSet<_> = Refusal::CODES.iter().collect();
        assert_eq!(unique.len(), Refusal::CODES.len());
    }

    #[test]
    fn a_sentence_names_object_cause_and_next_step() {
        let refusal = Refusal::Exhausted {
            subnet: "web".into(),
            cidr: "10.0.0.0/29".parse().unwrap(),
            pools: "10.0.0.2-10.0.0.6".into(),
            used: 5,
            used_by: Holder::Count(Several::Reserved, 5).into(),
        };
        assert_eq!(
            refusal.to_string(),
            "Subnet web (10.0.0.0/29) has no free address: its pools 10.0.0.2-10.0.0.6 are full with 5 addresses \
             (5 reserved). Delete ports or add a subnet."
        );
        assert_eq!(refusal.params()[0], ("subnet", "web".to_owned()));
        assert_eq!(refusal.field().as_deref(), Some("fixed_ips"));
    }
}
