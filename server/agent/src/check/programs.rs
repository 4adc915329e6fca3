//! Programs that manage networks, and whether what they are told leaves the agent's things alone.
//!
//! What each of them really does beside an agent was tried (`cargo xtask qualify neighbours`).

use portolan_plan::LINK_PREFIX;

use super::config::{Texts, fits, laid_over, values};

/// Where systemd's programs look for what they are told; the last counts.
const SYSTEMD: [&str; 4] = [
    "/usr/lib/systemd",
    "/usr/local/lib/systemd",
    "/run/systemd",
    "/etc/systemd",
];

/// Where NetworkManager does.
const NETWORK_MANAGER: [&str; 3] = ["/usr/lib/NetworkManager", "/run/NetworkManager", "/etc/NetworkManager"];

/// Where udev looks for rules, and the rules by which NetworkManager leaves virtual links alone.
const UDEV: [&str; 3] = ["/usr/lib/udev/rules.d", "/run/udev/rules.d", "/etc/udev/rules.d"];
const UDEV_RULES: &str = "85-nm-unmanaged.rules";

/// Where switches of the kernel are set when a host starts.
const SWITCHES: [&str; 4] = [
    "/usr/lib/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/run/sysctl.d",
    "/etc/sysctl.d",
];

/// Folders whose files are to be read, all that they may be told by.
pub(super) fn folders() -> Vec<String> {
    let systemd = SYSTEMD
        .iter()
        .flat_map(|folder| [format!("{folder}/networkd.conf.d"), format!("{folder}/network")]);
    let manager = NETWORK_MANAGER.iter().map(|folder| format!("{folder}/conf.d"));
    let others = UDEV.iter().chain(&SWITCHES).map(|folder| (*folder).to_owned());
    systemd.chain(manager).chain(others).collect()
}

/// Files that are to be read besides.
pub(super) const FILES: [&str; 6] = [
    "/etc/systemd/networkd.conf",
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/dhcpcd.conf",
    "/etc/docker/daemon.json",
    "/etc/sysctl.conf",
    "/etc/ufw/ufw.conf",
];

/// Those that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) networkd: Option<Networkd>,
    pub(super) network_manager: Option<TakesLinks>,
    pub(super) dhcpcd: Option<TakesLinks>,
    pub(super) docker: Option<Docker>,
    pub(super) ufw: bool,
    pub(super) firewalld: bool,
}

/// Whether a program manages the links of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakesLinks {
    Yes,
    No,
}

/// systemd-networkd, and what it would take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networkd {
    /// Routes that it did not make.
    pub(super) takes_routes: bool,
    /// The file by which it manages links of pods.
    pub(super) takes_links_by: Option<String>,
    /// Links with addresses that it takes off when it starts, with the name of the file for each.
    pub(super) takes_addresses: Vec<(String, String)>,
}

/// Docker, and whether it finds forwarding on when the host starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Docker {
    FindsForwarding,
    /// It turns forwarding on itself, and then drops what is forwarded.
    TurnsForwardingOn,
}

/// A link of a pod, as one may be called.
fn pods_link() -> String {
    format!("{LINK_PREFIX}0")
}

/// Which of these are there. `running` are processes of the host's network by name, with what they say of themselves;
/// `managed` are links with addresses, and the file by which networkd manages each.
pub(super) fn programs(running: &[(String, String)], texts: &Texts, managed: &[(String, String)]) -> Programs {
    let runs = |name: &str| running.iter().any(|(running, _)| running == name);
    // A name of a process has at most 15 letters.
    Programs {
        networkd: runs("systemd-network").then(|| networkd(texts, managed)),
        network_manager: runs("NetworkManager").then(|| network_manager(texts)),
        dhcpcd: runs("dhcpcd").then(|| dhcpcd(running, texts)),
        docker: runs("dockerd").then(|| docker(texts)),
        ufw: texts.get("/etc/ufw/ufw.conf").is_some_and(|text| ufw_is_enabled(text)),
        firewalld: runs("firewalld"),
    }
}

fn ufw_is_enabled(text: &str) -> bool {
    text.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
}

fn below(folders: &[&str], what: &str) -> Vec<String> {
    folders.iter().map(|folder| format!("{folder}{what}")).collect()
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1")
}

fn networkd(texts: &Texts, managed: &[(String, String)]) -> Networkd {
    let main = texts.get("/etc/systemd/networkd.conf").map(String::as_str);
    let over = laid_over(texts, &below(&SYSTEMD, "/networkd.conf.d"), ".conf");
    let told = main.into_iter().chain(over.into_values());
    let last = told
        .flat_map(|text| values(text, "Network", "ManageForeignRoutes"))
        .last();
    let networks = laid_over(texts, &below(&SYSTEMD, "/network"), ".network");
    let first = networks.iter().find(|(_, text)| is_for_pods_links(text));
    let unmanaged = |text: &str| {
        values(text, "Link", "Unmanaged")
            .last()
            .is_some_and(|value| is_on(value))
    };
    let keeps = |file: &str| {
        let over = laid_over(texts, &below(&SYSTEMD, &format!("/network/{file}.d")), ".conf");
        let main = networks.get(file).copied();
        let told = main.into_iter().chain(over.into_values());
        let last = told
            .flat_map(|text| values(text, "Network", "KeepConfiguration"))
            .last();
        last.is_some_and(|value| value == "static" || is_on(value))
    };
    Networkd {
        takes_routes: last.is_none_or(is_on),
        takes_links_by: first
            .filter(|(_, text)| !unmanaged(text))
            .map(|(name, _)| (*name).to_owned()),
        takes_addresses: managed.iter().filter(|(_, file)| !keeps(file)).cloned().collect(),
    }
}

/// Whether a `.network` file is for links as pods have them. What it may ask beside names and kinds is not of such.
fn is_for_pods_links(text: &str) -> bool {
    let asked = |key| {
        let all: Vec<&str> = values(text, "Match", key)
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect();
        (!all.is_empty()).then_some(all)
    };
    let name = pods_link();
    let named = |patterns: Vec<&str>| match patterns.first().and_then(|first| first.strip_prefix('!')) {
        None => patterns.iter().any(|pattern| fits(pattern, &name)),
        Some(first) => !fits(first, &name) && !patterns.iter().skip(1).any(|pattern| fits(pattern, &name)),
    };
    let of = |word: &'static str| move |words: Vec<&str>| words.contains(&word);
    let others = [
        "MACAddress",
        "PermanentMACAddress",
        "Path",
        "SSID",
        "BSSID",
        "WLANInterfaceType",
        "Property",
    ];
    let asks_any = ["Name", "Type", "Kind", "Driver"]
        .iter()
        .any(|key| asked(key).is_some());
    asks_any
        && others.iter().all(|key| asked(key).is_none())
        && asked("Name").is_none_or(named)
        && asked("Type").is_none_or(of("ether"))
        && asked("Kind").is_none_or(of("veth"))
        && asked("Driver").is_none_or(of("veth"))
}

fn network_manager(texts: &Texts) -> TakesLinks {
    let rules = laid_over(texts, &below(&UDEV, ""), UDEV_RULES);
    let by_udev = rules.into_values().any(|text| text.contains("veth"));
    let main = texts.get("/etc/NetworkManager/NetworkManager.conf").map(String::as_str);
    let over = laid_over(texts, &below(&NETWORK_MANAGER, "/conf.d"), ".conf");
    let told = main.into_iter().chain(over.into_values());
    let named = told.flat_map(|text| values(text, "keyfile", "unmanaged-devices"));
    let mut specs = named.flat_map(|value| value.split([';', ',']));
    let name = pods_link();
    let by_name = specs.any(|spec| {
        let pattern = spec.trim().strip_prefix("interface-name:");
        pattern.is_some_and(|pattern| fits(pattern, &name))
    });
    match by_udev || by_name {
        true => TakesLinks::No,
        false => TakesLinks::Yes,
    }
}

fn dhcpcd(running: &[(String, String)], texts: &Texts) -> TakesLinks {
    let of_all =
        |(name, said): &(String, String)| name == "dhcpcd" && (said.contains("[manager]") || said.contains("[master]"));
    let text = texts.get("/etc/dhcpcd.conf").map(String::as_str).unwrap_or_default();
    let name = pods_link();
    let patterns = |key: &str| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key));
        let words = lines.filter(|rest| rest.starts_with([' ', '\t']));
        words
            .flat_map(|rest| rest.split([' ', '\t', ',']))
            .filter(|word| !word.is_empty())
            .collect()
    };
    let denied = patterns("denyinterfaces").iter().any(|pattern| fits(pattern, &name));
    let allowed = patterns("allowinterfaces");
    let others_only = !allowed.is_empty() && !allowed.iter().any(|pattern| fits(pattern, &name));
    match running.iter().any(of_all) && !denied && !others_only {
        true => TakesLinks::Yes,
        false => TakesLinks::No,
    }
}

fn docker(texts: &Texts) -> Docker {
    let told: serde_json::Value = texts
        .get("/etc/docker/daemon.json")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let is_off = |key: &str| told.get(key) == Some(&serde_json::Value::Bool(false));
    let main = texts.get("/etc/sysctl.conf").map(String::as_str);
    let over = laid_over(texts, &below(&SWITCHES, ""), ".conf");
    let lines = over.into_values().chain(main).flat_map(str::lines);
    let mut set = lines.filter_map(|line| {
        let (key, value) = line.trim().trim_start_matches('-').split_once('=')?;
        (key.trim().replace('/', ".") == "net.ipv4.ip_forward").then(|| value.trim())
    });
    match set.next_back() == Some("1") || is_off("ip-forward") || is_off("iptables") {
        true => Docker::FindsForwarding,
        false => Docker::TurnsForwardingOn,
    }
}
