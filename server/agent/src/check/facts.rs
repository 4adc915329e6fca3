//! What is known of a host, as far as it could be looked at. Whatever is absent makes no finding.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use portolan_plan::{DroppingChain, Foreign, Observed, Sysctl};
use portolan_shared::addr::{Cidr, Family};

use super::programs::Programs;
use crate::kernel::PolicyRule;

/// An address of the host by which others may reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uplink {
    pub(super) address: IpAddr,
    /// The length of its subnet.
    pub(super) prefix: u8,
    /// The name of its link.
    pub(super) link: String,
}

/// The disk that the state directory is on, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disk {
    /// Nothing can be written there, by the operating system's word.
    Closed(String),
    /// Bytes, and files, that still fit.
    Open { bytes: u64, files: u64 },
}

/// A rule of routing, with what the table that it leads to has a way to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) rule: PolicyRule,
    pub(super) destinations: Vec<Cidr>,
}

/// What is known of a host.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Pod ranges, as they were given.
    pub(super) ranges: Vec<Cidr>,
    pub(super) uplinks: Vec<Uplink>,
    /// Links, routes with the agent's protocol number, switches.
    pub(super) kernel: Observed,
    /// Switches that this host does not let anybody turn on.
    pub(super) fixed: BTreeSet<Sysctl>,
    /// Whether links that are made from now on get no IPv6.
    pub(super) ipv6_off: bool,
    /// Links that drop what comes in by another link than the answer would leave by.
    pub(super) strict: BTreeSet<String>,
    pub(super) foreign: Foreign,
    /// Chains that drop what is sent to the port of probes.
    pub(super) closed: Vec<DroppingChain>,
    /// Who listens on the port of probes, if somebody else does.
    pub(super) port_taken: Option<String>,
    /// In the order in which they count.
    pub(super) rules: BTreeMap<u8, Vec<Rule>>,
    /// What cannot be made, with the reason.
    pub(super) unable: Option<(&'static str, String)>,
    pub(super) clock_held: Option<bool>,
    pub(super) state_dir: String,
    pub(super) disk: Option<Disk>,
    /// The state directory is an agent's already.
    pub(super) has_agent: bool,
    /// How many files a process may have open; `None`: any number.
    pub(super) open_files: Option<u64>,
    /// Programs that manage networks.
    pub(super) programs: Programs,
    /// Links with addresses that networkd manages, each with the name of the file by which it does.
    pub(super) managed: Vec<(String, String)>,
    /// What could not be looked at, with the reason.
    pub(super) unseen: Vec<String>,
}

impl Facts {
    /// The families that pods may have here.
    pub(super) fn families(&self) -> BTreeSet<Family> {
        match self.ranges.as_slice() {
            [] => self.uplinks.iter().map(|uplink| Family::of(uplink.address)).collect(),
            ranges => ranges.iter().map(Cidr::family).collect(),
        }
    }

    /// The ranges that pods may have: where none was given, everything of the families.
    pub(super) fn pod_ranges(&self) -> Vec<Cidr> {
        match self.ranges.as_slice() {
            [] => self.families().into_iter().filter_map(everything).collect(),
            ranges => ranges.to_vec(),
        }
    }
}

/// All addresses of a family.
pub(super) fn everything(family: Family) -> Option<Cidr> {
    Cidr::containing(portolan_shared::addr::from_bits(family, 0), 0)
}
