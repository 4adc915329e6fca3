//! Programs of the host that take what is Portolan's, and what they are told.

use super::*;

fn files(files: &[(&str, &str)]) -> Texts {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

fn running(names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), format!("{name}: [manager] [ip4]")))
        .collect()
}

#[test]
fn networkd_takes_what_it_is_not_told_to_leave() {
    let managed = [("eth0".to_owned(), "10-it.network".to_owned())];
    let networkd = |of: &[(&str, &str)]| programs(&running(&["systemd-network"]), &files(of), &managed).networkd;
    let bare = [(
        "/etc/systemd/network/10-it.network",
        "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
    )];
    let takes = networkd(&bare).unwrap();
    assert_eq!(
        takes,
        Networkd {
            takes_routes: true,
            takes_links_by: None,
            takes_addresses: managed.to_vec(),
        }
    );
    let mut facts = clean();
    facts.programs.networkd = Some(takes);
    assert_eq!(codes(&facts), ["check.networkd"]);

    let told = [
        bare[0],
        ("/etc/systemd/networkd.conf", "[Network]\n#ManageForeignRoutes=yes\n"),
        (
            "/etc/systemd/networkd.conf.d/x.conf",
            "[Network]\nManageForeignRoutes=no\n",
        ),
        (
            "/etc/systemd/network/10-it.network.d/x.conf",
            "[Network]\nKeepConfiguration=static\n",
        ),
    ];
    assert_eq!(networkd(&told), Some(Networkd::default()));
    facts.programs.networkd = networkd(&told);
    assert_eq!(codes(&facts), [""; 0]);
    assert_eq!(
        programs(&running(&["bird"]), &files(&bare), &managed),
        Programs::default()
    );
}

#[test]
fn the_first_file_for_pods_links_counts() {
    let by = |of: &[(&str, &str)]| {
        let found = programs(&running(&["systemd-network"]), &files(of), &[]);
        found.networkd.unwrap().takes_links_by
    };
    let all = (
        "/etc/systemd/network/10-all.network",
        "[Match]\nName=*\n[Network]\nDHCP=yes\n",
    );
    assert_eq!(by(&[all]).as_deref(), Some("10-all.network"));
    let ours = (
        "/etc/systemd/network/00-ours.network",
        "[Match]\nName=ptl*\n[Link]\nUnmanaged=yes\n",
    );
    assert_eq!(by(&[all, ours]), None);
    let late = ("/etc/systemd/network/20-ours.network", ours.1);
    assert_eq!(by(&[all, late]).as_deref(), Some("10-all.network"));
    for (matched, expected) in [
        ("Type=ether", true),
        ("Kind=veth", true),
        ("Name=eth0 ptl?", true),
        ("Name=!eth*", true),
        ("Name=!ptl*", false),
        ("Name=ve-*\nDriver=veth", false),
        ("Type=wlan", false),
        ("MACAddress=00:11:22:33:44:55", false),
        ("Name=*\nMACAddress=00:11:22:33:44:55", false),
    ] {
        let file = (
            "/usr/lib/systemd/network/80-x.network",
            &*format!("[Match]\n{matched}\n"),
        );
        assert_eq!(by(&[file]).is_some(), expected, "{matched}");
    }
    // One that an administrator has laid over a distribution's.
    let masked = [
        ("/usr/lib/systemd/network/80-x.network", "[Match]\nName=*\n"),
        ("/etc/systemd/network/80-x.network", ""),
    ];
    assert_eq!(by(&masked), None);
}

#[test]
fn network_manager_leaves_pods_links_by_a_rule_of_udev_or_by_name() {
    let manager = |of: &[(&str, &str)]| programs(&running(&["NetworkManager"]), &files(of), &[]).network_manager;
    assert_eq!(manager(&[]), Some(TakesLinks::Yes));
    let rule = (
        "/usr/lib/udev/rules.d/85-nm-unmanaged.rules",
        "ENV{ID_NET_DRIVER}==\"veth\", ...\n",
    );
    assert_eq!(manager(&[rule]), Some(TakesLinks::No));
    let masked = ("/etc/udev/rules.d/85-nm-unmanaged.rules", "");
    assert_eq!(manager(&[rule, masked]), Some(TakesLinks::Yes));
    let named = |devices: &str| {
        let text = format!("[keyfile]\nunmanaged-devices{devices}\n");
        manager(&[("/etc/NetworkManager/conf.d/x.conf", &text)])
    };
    assert_eq!(named("+=interface-name:ptl*"), Some(TakesLinks::No));
    assert_eq!(named("=mac:00:11:22:33:44:55;interface-name:p*"), Some(TakesLinks::No));
    assert_eq!(named("=interface-name:eth1"), Some(TakesLinks::Yes));
    let taken = said(|facts| facts.programs.network_manager = Some(TakesLinks::Yes));
    assert_eq!(taken, ["check.network_manager"]);
}

#[test]
fn dhcpcd_takes_all_links_unless_told() {
    let dhcpcd = |text: &str| programs(&running(&["dhcpcd"]), &files(&[("/etc/dhcpcd.conf", text)]), &[]).dhcpcd;
    assert_eq!(dhcpcd("duid\n"), Some(TakesLinks::Yes));
    assert_eq!(dhcpcd("denyinterfaces wlan0 ptl*\n"), Some(TakesLinks::No));
    assert_eq!(dhcpcd("allowinterfaces eth0\n"), Some(TakesLinks::No));
    assert_eq!(dhcpcd("#denyinterfaces ptl*\n"), Some(TakesLinks::Yes));
    let of_one = [("dhcpcd".to_owned(), "dhcpcd: eth0 [ip4]".to_owned())];
    assert_eq!(programs(&of_one, &Texts::new(), &[]).dhcpcd, Some(TakesLinks::No));
    let taken = said(|facts| facts.programs.dhcpcd = Some(TakesLinks::Yes));
    assert_eq!(taken, ["check.dhcpcd"]);
}

#[test]
fn docker_finds_forwarding_on_if_a_file_says_so() {
    let docker = |of: &[(&str, &str)]| programs(&running(&["dockerd"]), &files(of), &[]).docker;
    assert_eq!(docker(&[]), Some(Docker::TurnsForwardingOn));
    for (path, text) in [
        ("/etc/sysctl.d/x.conf", "net.ipv4.ip_forward = 1\n"),
        ("/etc/sysctl.conf", "net/ipv4/ip_forward=1\n"),
        ("/etc/docker/daemon.json", "{\"ip-forward\": false}"),
        ("/etc/docker/daemon.json", "{\"iptables\": false}"),
    ] {
        assert_eq!(docker(&[(path, text)]), Some(Docker::FindsForwarding), "{path} {text}");
    }
    let off = ("/etc/sysctl.d/99-x.conf", "net.ipv4.ip_forward=0\n");
    let on = ("/etc/sysctl.d/10-x.conf", "net.ipv4.ip_forward=1\n");
    assert_eq!(docker(&[on, off]), Some(Docker::TurnsForwardingOn));
    let hurts = said(|facts| facts.programs.docker = Some(Docker::TurnsForwardingOn));
    assert_eq!(hurts, ["check.docker"]);
}

/// A host with all programs that have drop-ins, none of which is told anything.
fn crowded() -> Facts {
    let mut facts = clean();
    facts.programs = Programs {
        networkd: Some(Networkd {
            takes_routes: true,
            ..Networkd::default()
        }),
        network_manager: Some(TakesLinks::No),
        docker: Some(Docker::TurnsForwardingOn),
        firewalld: true,
        ..Programs::default()
    };
    facts.managed = vec![("eth0".to_owned(), "10-it.network".to_owned())];
    facts
}

#[test]
fn programs_that_are_not_there_are_told_nothing() {
    assert_eq!(drop_ins(&clean()), DropIns::default());
}

#[test]
fn what_the_drop_ins_say_is_what_the_check_looks_for() {
    let facts = crowded();
    let told = drop_ins(&facts);
    assert_eq!(codes(&facts), ["check.networkd", "check.docker"]);
    let mut texts: Texts = told
        .files
        .iter()
        .map(|file| (file.path.clone(), file.text.clone()))
        .collect();
    let network = "[Match]\nName=*\n[Network]\nDHCP=yes\n".to_owned();
    texts.insert("/etc/systemd/network/10-it.network".to_owned(), network);
    let there = running(&["systemd-network", "NetworkManager", "dockerd"]);
    let mended = Facts {
        programs: programs(&there, &texts, &facts.managed),
        ..facts
    };
    assert_eq!(mended.programs.networkd, Some(Networkd::default()));
    assert_eq!(
        mended.programs.network_manager,
        Some(TakesLinks::No),
        "without its udev rule"
    );
    assert_eq!(codes(&mended), [""; 0]);
}

#[test]
fn firewalls_are_told_of_the_ranges_and_of_probes_alone() {
    let told = drop_ins(&crowded());
    let policy = told
        .files
        .iter()
        .find(|file| file.path == "/etc/firewalld/policies/portolan.xml");
    let text = &policy.unwrap().text;
    let comment = text
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix("<!--")?.strip_suffix("-->"));
    assert!(!comment.unwrap().contains("--"), "firewalld refuses the file: {text}");
    let rules: Vec<&str> = text.lines().filter(|line| line.contains("<rule")).collect();
    assert_eq!(
        rules,
        [
            "  <rule family=\"ipv4\"><source address=\"10.1.0.0/16\"/><accept/></rule>",
            "  <rule family=\"ipv4\"><destination address=\"10.1.0.0/16\"/><accept/></rule>",
            "  <rule family=\"ipv6\"><source address=\"fd00:60::/64\"/><accept/></rule>",
            "  <rule family=\"ipv6\"><destination address=\"fd00:60::/64\"/><accept/></rule>",
        ]
    );
    let mut facts = clean();
    facts.programs.ufw = true;
    assert_eq!(drop_ins(&facts), DropIns::default(), "it drops nothing");
    facts.foreign.drops = vec![chain("ip", "filter", "FORWARD"), chain("ip6", "filter", "FORWARD")];
    facts.closed = vec![chain("ip", "filter", "INPUT")];
    let told = drop_ins(&facts);
    assert_eq!(told.files, []);
    assert_eq!(
        told.run,
        [
            "ufw route allow from 10.1.0.0/16",
            "ufw route allow to 10.1.0.0/16",
            "ufw route allow from fd00:60::/64",
            "ufw route allow to fd00:60::/64",
            "ufw allow 7157/udp",
        ]
    );
}

#[test]
fn dockers_chain_is_told_where_it_drops_already() {
    let run = |drops: Vec<DroppingChain>| {
        let mut facts = crowded();
        facts.foreign.drops = drops;
        let run = drop_ins(&facts).run.into_iter();
        run.filter(|command| command.starts_with("iptables"))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(Vec::new()), [""; 0]);
    assert_eq!(
        run(vec![chain("ip", "filter", "FORWARD")]),
        [
            "iptables -I DOCKER-USER -s 10.1.0.0/16 -j ACCEPT",
            "iptables -I DOCKER-USER -d 10.1.0.0/16 -j ACCEPT",
        ]
    );
}
