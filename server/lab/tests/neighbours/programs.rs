//! What each program does, in scripts, and what is expected of it.

use super::Expect::{Blinks, Passes, Said, SaidInFour, SaidInSix, Untouched};
use super::beside;

/// What the scripts with networkd have in common.
const NETWORKD: &str = "
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /etc/systemd/network
chown -R systemd-network:systemd-network /run/systemd/netif
network() { printf \"[Match]\\nName=$1\\n[Network]\\n$2\\n\" > /etc/systemd/network/10-it.network; }
begin() { /lib/systemd/systemd-networkd & networkd=$!; }
configured() {
  for _ in $(seq 150); do grep -qs ^ADMIN_STATE=configured /run/systemd/netif/links/2 && break; sleep 0.1; done
}
end() { kill $networkd; wait $networkd; }
network eth0 Address=$address
";

#[test]
fn networkd() {
    beside(
        "systemd-networkd 252",
        NETWORKD,
        &[
            ("starts, has eth0 with its address", "begin; configured", Passes),
            ("starts again", "end; begin; configured", Passes),
            ("stops", "end", Passes),
            (
                "starts, has eth0 with DHCP",
                "network eth0 DHCP=yes; begin; sleep 4",
                Said,
            ),
            (
                "gets the address back",
                "end; network eth0 Address=$address; begin; configured",
                Passes,
            ),
        ],
    );
}

#[test]
fn networkd_with_the_drop_in() {
    beside(
        "systemd-networkd 252",
        NETWORKD,
        &[
            ("starts, before it is told", "begin; configured", Passes),
            (
                "is told by the drop-ins and starts again",
                "tell; end; begin; configured",
                Untouched,
            ),
            ("starts again with the drop-ins", "end; begin; configured", Untouched),
            (
                "starts, has eth0 with DHCP, with the drop-ins",
                "end; network eth0 DHCP=yes; begin; sleep 4",
                Untouched,
            ),
            (
                "starts, has all links with DHCP, with the drop-ins",
                "end; network '*' DHCP=yes; begin; sleep 4",
                Untouched,
            ),
        ],
    );
}

/// What the scripts with NetworkManager have in common.
const NETWORK_MANAGER: &str = "
rm -f /etc/NetworkManager/system-connections/*
printf \"[connection]\\nid=it\\ntype=ethernet\\ninterface-name=eth0\\n[$family]\\nmethod=manual\\naddress1=$address\\n[$other]\\nmethod=disabled\\n\" \
  > /etc/NetworkManager/system-connections/it.nmconnection
chmod 600 /etc/NetworkManager/system-connections/*
begin() {
  NetworkManager --no-daemon --log-level=WARN &
  for _ in $(seq 100); do nmcli -t -f RUNNING general 2>/dev/null | grep -q ^running && break; sleep 0.1; done
}
";

#[test]
fn network_manager() {
    beside(
        "NetworkManager 1.42",
        NETWORK_MANAGER,
        &[
            (
                "starts, has eth0 with its address",
                "begin; nmcli -w 20 con up it",
                Passes,
            ),
            ("con up again", "nmcli -w 20 con up it", Passes),
            ("device reapply", "nmcli -w 20 device reapply eth0", Passes),
            ("is killed", "kill -9 $(pidof NetworkManager)", Passes),
            ("starts again", "begin", Passes),
        ],
    );
}

#[test]
fn network_manager_with_the_drop_in() {
    let prepare = format!(
        "{NETWORK_MANAGER}
rm /etc/NetworkManager/system-connections/*
end() {{ kill $(pidof NetworkManager); while pidof NetworkManager > /dev/null; do sleep 0.1; done; }}
without_its_rule() {{
  mkdir -p /etc/udev/rules.d
  ln -s /dev/null /etc/udev/rules.d/85-nm-unmanaged.rules
  udevadm control --reload
  rm -rf /run/udev/data/*
  udevadm trigger --subsystem-match=net --action=add
  udevadm settle
}}
"
    );
    beside(
        "NetworkManager 1.42",
        &prepare,
        &[
            ("starts and is told by the drop-in", "begin; tell", Untouched),
            (
                "starts without its udev rule, with the drop-in",
                "end; without_its_rule; begin; sleep 4",
                Untouched,
            ),
        ],
    );
}

#[test]
fn ufw() {
    beside(
        "ufw 0.36",
        "",
        &[
            ("is enabled", "ufw --force enable", Said),
            ("is told by the commands of the check", "tell", Passes),
            ("is enabled again, told so", "ufw disable; ufw --force enable", Blinks),
            ("is disabled", "ufw disable", Blinks),
        ],
    );
}

#[test]
fn firewalld() {
    let prepare = "
begin() {
  firewalld --nofork --nopid & firewalld=$!
  for _ in $(seq 300); do [ \"$(firewall-cmd --state 2>/dev/null)\" = running ] && break; sleep 0.1; done
}
";
    beside(
        "firewalld 1.3",
        prepare,
        &[
            ("starts", "begin", Said),
            ("is told by the drop-ins", "tell", Passes),
            (
                "starts again with the drop-ins",
                "kill $firewalld; wait $firewalld; begin",
                Blinks,
            ),
            ("stops", "kill $firewalld; wait $firewalld", Passes),
        ],
    );
}

#[test]
fn docker() {
    let prepare = "
mount -t tmpfs tmpfs /sys/fs/cgroup
for of in devices memory cpu cpuset cpuacct blkio pids freezer; do
  mkdir /sys/fs/cgroup/$of
  mount -t cgroup -o $of cgroup /sys/fs/cgroup/$of
done
begin() {
  dockerd --data-root /run/docker-data --exec-root /run/docker-exec --pidfile /run/docker.pid > /run/docker.log 2>&1 &
  docker=$!
  for _ in $(seq 300); do docker info > /dev/null 2>&1 && break; sleep 0.1; done
}
end() { kill $docker; wait $docker; }
off() {
  # Whoever turns it off twice means it.
  for _ in 1 2; do sysctl -qw net.ipv4.ip_forward=0; sleep 1; done
}
";
    beside(
        "Docker 20.10",
        prepare,
        &[
            ("starts, turns forwarding on", "off; begin", SaidInFour),
            ("is told by the commands of the check", "tell", Passes),
            ("starts again, told so", "end; begin", Untouched),
            (
                "starts with its host, with the drop-in",
                "end; iptables -F; iptables -X; iptables -P FORWARD ACCEPT
                 sysctl -q -p /etc/sysctl.d/90-portolan.conf; begin",
                Passes,
            ),
        ],
    );
}

#[test]
fn bird() {
    let prepare = "
begin() {
  routes=\"protocol static { $family; route $1 via $nobody; }\"
  kernel=\"protocol kernel { $family { export all; import all; }; learn; }\"
  echo \"router id 10.0.0.2; protocol device { } $kernel $routes\" > /run/bird.conf
  bird -c /run/bird.conf -s /run/bird.ctl -P /run/bird.pid
  for _ in $(seq 100); do ip $six route show proto bird | grep -q $nobody && break; sleep 0.1; done
}
end() { kill -$1 $(cat /run/bird.pid); while pidof bird > /dev/null; do sleep 0.1; done; }
elsewhere=198.51.100.0/24; [ -z \"$six\" ] || elsewhere=2001:db8::/64
";
    beside(
        "BIRD 2.0",
        prepare,
        &[
            ("starts, learns all routes", "begin $elsewhere", Passes),
            ("ends", "end TERM", Passes),
            // Its metric is 32. Ours is none in IPv4, which wins; in IPv6 it is 1024, as for all who name none.
            ("has a route for the same block", "begin $block", SaidInSix),
            (
                "is killed, and its route taken away",
                "end KILL; ip $six route flush proto bird",
                Passes,
            ),
        ],
    );
}

#[test]
fn frr() {
    let prepare = "
mkdir -p /run/frr; chown frr:frr /run/frr
family_word=ip; [ -z \"$six\" ] || family_word=ipv6
begin() {
  printf \"$family_word route $block $nobody\\n\" > /run/frr/static.conf; : > /run/frr/zebra.conf; chown frr /run/frr/*
  /usr/lib/frr/zebra -d -f /run/frr/zebra.conf -i /run/frr/zebra.pid
  /usr/lib/frr/staticd -d -f /run/frr/static.conf -i /run/frr/staticd.pid
  for _ in $(seq 100); do vtysh -c \"show $family_word route static\" | grep -q $nobody && break; sleep 0.1; done
}
";
    beside(
        "FRR 8.4",
        prepare,
        &[
            ("starts, with a route for the same block", "begin", Passes),
            (
                "is killed",
                "kill -9 $(cat /run/frr/zebra.pid /run/frr/staticd.pid)",
                Passes,
            ),
        ],
    );
}
