//! Looks at the host that this process runs on, and changes nothing of it.

#![expect(
    clippy::disallowed_methods,
    reason = "what is under /proc is the kernel itself, and what is under /etc are others' files: both are what is asked about"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use portolan_plan::probes::PROBE_PORT;
use portolan_plan::{POD_GATEWAY_V4, Sysctl};
use portolan_sources::{SystemStopwatch, clock_is_held};
use portolan_wire::error_chain;
use rustix::fs::{Access, StatVfsMountFlags};
use rustix::process::Resource;

use super::config::{Texts, values};
use super::facts::{Disk, Facts, Rule, Uplink};
use super::programs::{FILES, folders, programs};
use crate::kernel::{Kernel as _, KernelError, Netlink, RuleAction, try_pods_network};
use crate::options::Check;

/// What processes of ours are called, of which the agent's own port is no surprise.
const OWN_NAME: &str = "portolan-agent";

/// A process in the host's network.
struct Process {
    id: String,
    name: String,
    /// Its command line, as it shows it.
    said: String,
}

/// All that can be looked at. What cannot is named in it.
pub(super) fn look(options: &Check) -> Facts {
    let mut facts = Facts {
        ranges: options.range.clone(),
        state_dir: options.state_dir.display().to_string(),
        has_agent: options.state_dir.join("pods.log").exists(),
        unable: try_pods_network().err().map(|(what, error)| (what, error.to_string())),
        clock_held: clock_is_held().ok(),
        open_files: rustix::process::getrlimit(Resource::Nofile).current,
        disk: disk(&options.state_dir),
        ..Facts::default()
    };
    match Netlink::open(Arc::new(SystemStopwatch::default())) {
        Ok(kernel) => ask_kernel(&mut facts, &kernel),
        Err(error) => facts.unseen.push(error_chain(&error)),
    }
    switches(&mut facts);
    let processes = processes(&mut facts);
    let running: Vec<(String, String)> = processes.iter().map(|p| (p.name.clone(), p.said.clone())).collect();
    facts.managed = managed(&facts);
    facts.programs = programs(&running, &texts(), &facts.managed);
    facts.port_taken = taken_by(&processes);
    if text("/proc/thread-self/net/ip_tables_names").is_some_and(|names| names.lines().any(|name| name == "filter")) {
        let words = "what iptables-legacy drops: see iptables-legacy -S FORWARD, and change over to iptables-nft";
        facts.unseen.push(words.to_owned());
    }
    facts
}

/// Takes what was found, or notes that it could not be looked at.
fn or_unseen<T: Default>(found: Result<T, KernelError>, unseen: &mut Vec<String>) -> T {
    found.unwrap_or_else(|error| {
        unseen.push(error_chain(&error));
        T::default()
    })
}

fn ask_kernel(facts: &mut Facts, kernel: &Netlink) {
    facts.kernel = or_unseen(kernel.observe(), &mut facts.unseen);
    let subnets = or_unseen(kernel.subnets(), &mut facts.unseen);
    let up = |link: &String| facts.kernel.links.get(link).is_some_and(|link| link.up);
    let uplinks = subnets
        .into_iter()
        .filter(|(address, _, link)| is_reachable(*address) && up(link));
    facts.uplinks = uplinks
        .map(|(address, prefix, link)| Uplink { address, prefix, link })
        .collect();
    let ranges = facts.pod_ranges();
    facts.foreign = or_unseen(kernel.foreign(&ranges), &mut facts.unseen);
    facts.closed = or_unseen(kernel.closed(PROBE_PORT), &mut facts.unseen);
    for family in facts.families() {
        let rules = or_unseen(kernel.policy_rules(family), &mut facts.unseen);
        let mut with_tables = Vec::with_capacity(rules.len());
        for rule in rules {
            let destinations = match rule.action {
                RuleAction::Lookup { table, .. } => or_unseen(kernel.destinations(family, table), &mut facts.unseen),
                RuleAction::Refuse | RuleAction::Other => Vec::new(),
            };
            with_tables.push(Rule { rule, destinations });
        }
        facts.rules.insert(family.number(), with_tables);
    }
}

/// Whether others may reach the host by an address.
fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && v4 != POD_GATEWAY_V4,
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn switch(path: &str) -> Option<String> {
    text(&format!("/proc/sys/{path}")).map(|text| text.trim().to_owned())
}

fn switches(facts: &mut Facts) {
    let fixed = |sysctl: &Sysctl| {
        // Opening it for writing changes nothing.
        let opened = fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/sys/{}", sysctl.path()));
        opened.is_err()
    };
    facts.fixed = Sysctl::ALL.into_iter().filter(fixed).collect();
    facts.ipv6_off = switch("net/ipv6/conf/default/disable_ipv6").is_some_and(|value| value != "0");
    // The greater of the two counts.
    let of = |link: &str| switch(&format!("net/ipv4/conf/{link}/rp_filter")).and_then(|value| value.parse::<u8>().ok());
    let all = of("all").unwrap_or_default();
    let is_strict = |link: &&String| of(link.as_str()).unwrap_or_default().max(all) == 1;
    let links = facts.uplinks.iter().map(|uplink| &uplink.link);
    facts.strict = links.filter(is_strict).cloned().collect::<BTreeSet<String>>();
}

/// What can be written where the state directory is, or will be.
fn disk(state_dir: &Path) -> Option<Disk> {
    let there = state_dir.ancestors().find(|path| path.exists())?;
    let closed = |error: rustix::io::Errno| Some(Disk::Closed(std::io::Error::from(error).to_string()));
    if let Err(error) = rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK) {
        return closed(error);
    }
    match rustix::fs::statvfs(there) {
        Ok(of) if of.f_flag.contains(StatVfsMountFlags::RDONLY) => closed(rustix::io::Errno::ROFS),
        // Some file systems count no files.
        Ok(of) => Some(Disk::Open {
            bytes: of.f_bavail.saturating_mul(of.f_frsize),
            files: if of.f_files == 0 { u64::MAX } else { of.f_favail },
        }),
        Err(error) => closed(error),
    }
}

/// The processes in this host's network, which are not those of its pods.
fn processes(facts: &mut Facts) -> Vec<Process> {
    let namespace = |path: &str| fs::metadata(path).map(|file| file.ino()).ok();
    let Some(own) = namespace("/proc/thread-self/ns/net") else {
        facts.unseen.push("which programs run: /proc cannot be read".to_owned());
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let ids = ids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let process = |id: String| {
        (namespace(&format!("/proc/{id}/ns/net"))? == own).then_some(())?;
        Some(Process {
            name: text(&format!("/proc/{id}/comm"))?.trim().to_owned(),
            said: text(&format!("/proc/{id}/cmdline"))?.replace('\0', " "),
            id,
        })
    };
    ids.filter_map(process).collect()
}

/// What programs are told.
fn texts() -> Texts {
    let mut texts = Texts::new();
    let mut read = |path: String| {
        if let Some(text) = text(&path) {
            texts.insert(path, text);
        }
    };
    FILES.iter().for_each(|path| read((*path).to_owned()));
    let listed = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in folders().iter().flat_map(|folder| listed(folder)) {
        let path = entry.path();
        // What is laid over one `.network` file is in a folder of its own.
        let inside = listed(&path.display().to_string()).map(|entry| entry.path());
        for path in inside.chain([path.clone()]) {
            read(path.display().to_string());
        }
    }
    texts
}

/// Links with addresses, each with the name of the file by which networkd manages it.
fn managed(facts: &Facts) -> Vec<(String, String)> {
    let links: BTreeSet<&String> = facts.uplinks.iter().map(|uplink| &uplink.link).collect();
    let file = |link: &&String| {
        let index = facts.kernel.links.get(*link)?.index;
        let state = format!("[]\n{}", text(&format!("/run/systemd/netif/links/{index}"))?);
        let path = (*values(&state, "", "NETWORK_FILE").last()?).to_owned();
        let name = Path::new(&path).file_name()?.to_str()?.to_owned();
        Some(((*link).clone(), name))
    };
    links.iter().filter_map(file).collect()
}

/// Who listens on the port of probes, if it is not an agent.
fn taken_by(processes: &[Process]) -> Option<String> {
    let sockets = ["udp", "udp6"]
        .iter()
        .filter_map(|table| text(&format!("/proc/thread-self/net/{table}")));
    let inodes: Vec<String> = sockets.flat_map(|table| listening(&table, PROBE_PORT)).collect();
    let holds = |process: &&Process, inode: &String| {
        let files = fs::read_dir(format!("/proc/{}/fd", process.id))
            .into_iter()
            .flatten()
            .flatten();
        let target = format!("socket:[{inode}]");
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| link == Path::new(&target))
    };
    let found = inodes.iter().map(|inode| {
        let by = processes.iter().find(|process| holds(process, inode));
        by.map_or("another program".to_owned(), |by| match by.name.as_str() {
            OWN_NAME => OWN_NAME.to_owned(),
            name => format!("{name}, process {}", by.id),
        })
    });
    found.into_iter().find(|by| by != OWN_NAME)
}

/// The numbers of sockets that listen on a port, from a table of the kernel's.
fn listening(table: &str, port: u16) -> Vec<String> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let local = words.nth(1)?;
        let inode = words.nth(7)?;
        let (_, of) = local.rsplit_once(':')?;
        (u16::from_str_radix(of, 16) == Ok(port)).then(|| inode.to_owned())
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_port() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref\n  \
            221: 0100007F:1BF5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000 0\n  \
            222: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000 0\n";
        assert_eq!(listening(table, 7157), ["4711"]);
        assert_eq!(listening(table, 53), ["4712"]);
        assert!(listening(table, 7158).is_empty());
    }
}
