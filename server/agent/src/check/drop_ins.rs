//! The files by which other programs are told to leave the agent's things alone: pure.
//!
//! What each does was tried with the program itself (`cargo xtask qualify neighbours`). ufw has no folder for files of
//! others, so it is told by its own commands.

use std::fmt::{self, Write as _};

use portolan_plan::probes::PROBE_PORT;
use portolan_plan::{DroppingChain, LINK_PREFIX};
use portolan_shared::addr::{Cidr, Family};
use serde::Serialize;

use super::facts::Facts;
use super::programs::Networkd;

/// What stands in each file of ours: one without it is somebody else's. A comment of XML takes no two hyphens in a row.
pub(super) const MARK: &str = "Written by `portolan-agent check`";

/// What our files are called, where a folder has those of many.
const NAME: &str = "90-portolan.conf";

const NETWORKD: &str = "/etc/systemd/networkd.conf.d/90-portolan.conf";
/// Before all others, of which the first that fits a link counts.
const PODS_LINKS: &str = "/etc/systemd/network/00-portolan.network";
/// Where what is laid over one file of networkd has a folder of its own.
pub(super) const NETWORKS: &str = "/etc/systemd/network";
const NETWORK_MANAGER: &str = "/etc/NetworkManager/conf.d/90-portolan.conf";
const FIREWALLD: &str = "/etc/firewalld/policies/portolan.xml";
const FIREWALLD_PROBES: &str = "/etc/firewalld/policies/portolan-probes.xml";
const FORWARDING: &str = "/etc/sysctl.d/90-portolan.conf";

/// All that are at a place of their own.
pub(super) const FIXED: [&str; 6] = [
    NETWORKD,
    PODS_LINKS,
    NETWORK_MANAGER,
    FIREWALLD,
    FIREWALLD_PROBES,
    FORWARDING,
];

/// A file for another program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// Where it is.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// What the programs on a host are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropIns {
    /// Files that this program writes.
    pub files: Vec<DropIn>,
    /// Commands that somebody is to run: they make the other programs read the files, or say what they keep themselves.
    pub run: Vec<String>,
}

impl fmt::Display for DropIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for DropIn { path, text } in &self.files {
            writeln!(f, "{path}:")?;
            text.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        Ok(())
    }
}

impl DropIns {
    fn file(&mut self, path: impl Into<String>, what_for: &str, text: &str) {
        let (path, text) = (path.into(), format!("# {MARK}: {what_for}.\n{text}"));
        self.files.push(DropIn { path, text });
    }

    fn policy(&mut self, path: &str, what_for: &str, egress: &str, rules: &str) {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- {MARK}: {what_for}. -->\n<policy target=\"CONTINUE\">\n  \
             <ingress-zone name=\"ANY\"/>\n  <egress-zone name=\"{egress}\"/>\n{rules}</policy>\n"
        );
        let path = path.to_owned();
        self.files.push(DropIn { path, text });
    }

    fn run(&mut self, command: impl Into<String>) {
        self.run.push(command.into());
    }
}

/// Where the file that is laid over a `.network` file is.
pub(super) fn over_network(file: &str) -> String {
    format!("{NETWORKS}/{file}.d/{NAME}")
}

/// What the programs that are there are to be told, for pods of the given ranges.
pub(super) fn drop_ins(facts: &Facts) -> DropIns {
    let mut made = DropIns::default();
    let programs = &facts.programs;
    if let Some(networkd) = &programs.networkd {
        for_networkd(&mut made, networkd, &facts.managed);
    }
    if programs.network_manager.is_some() {
        let text = format!("[keyfile]\nunmanaged-devices+=interface-name:{LINK_PREFIX}*\n");
        made.file(NETWORK_MANAGER, "the links of pods are left alone", &text);
        made.run("nmcli general reload conf");
    }
    if programs.firewalld {
        for_firewalld(&mut made, &facts.ranges);
    }
    if programs.ufw {
        let of_ufw = |chains: &[DroppingChain]| chains.iter().any(|chain| chain.table == "filter");
        if of_ufw(&facts.foreign.drops) {
            for range in &facts.ranges {
                made.run(format!("ufw route allow from {range}"));
                made.run(format!("ufw route allow to {range}"));
            }
        }
        if of_ufw(&facts.closed) {
            made.run(format!("ufw allow {PROBE_PORT}/udp"));
        }
    }
    if programs.docker.is_some() && facts.families().contains(&Family::V4) {
        let what_for = "Docker finds forwarding on, and so does not drop what is forwarded";
        made.file(FORWARDING, what_for, "net.ipv4.ip_forward=1\n");
        let drops = facts.foreign.drops.iter();
        let of_docker = drops.filter(|chain| (chain.family, chain.chain.as_str()) == ("ip", "FORWARD"));
        // Until the host starts the next time. With ufw it is ufw's chain.
        if of_docker.count() > 0 && !programs.ufw {
            let four = facts.ranges.iter().filter(|range| range.family() == Family::V4);
            for range in four {
                made.run(format!("iptables -I DOCKER-USER -s {range} -j ACCEPT"));
                made.run(format!("iptables -I DOCKER-USER -d {range} -j ACCEPT"));
            }
        }
    }
    made
}

fn for_networkd(made: &mut DropIns, networkd: &Networkd, managed: &[(String, String)]) {
    made.file(
        NETWORKD,
        "routes of the agent stay when networkd starts",
        "[Network]\nManageForeignRoutes=no\n",
    );
    made.file(
        PODS_LINKS,
        "the links of pods are left alone",
        &format!("[Match]\nName={LINK_PREFIX}*\n\n[Link]\nUnmanaged=yes\n"),
    );
    let mut files: Vec<&String> = managed.iter().map(|(_, file)| file).collect();
    files.sort();
    files.dedup();
    for file in files {
        made.file(
            over_network(file),
            "addresses stay when networkd starts, and with them the routes that name them",
            "[Network]\nKeepConfiguration=static\n",
        );
    }
    if *networkd != Networkd::default() {
        made.run("systemctl restart systemd-networkd");
    }
}

fn for_firewalld(made: &mut DropIns, ranges: &[Cidr]) {
    let mut rules = String::new();
    for range in ranges {
        let family = range.family().number();
        for side in ["source", "destination"] {
            // Writing into a string does not fail.
            let _ = writeln!(
                rules,
                "  <rule family=\"ipv{family}\"><{side} address=\"{range}\"/><accept/></rule>"
            );
        }
    }
    made.policy(
        FIREWALLD,
        "what pods send and what is sent to them passes",
        "ANY",
        &rules,
    );
    let port = format!("  <port port=\"{PROBE_PORT}\" protocol=\"udp\"/>\n");
    made.policy(FIREWALLD_PROBES, "other nodes' probes arrive", "HOST", &port);
    made.run("firewall-cmd --reload");
}
