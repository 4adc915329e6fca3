#!/usr/bin/env bash
# Linux does opposite things to routes whose preferred source (RTA_PREFSRC) is an address that is removed: an IPv4 route goes
# with it, on whatever link it is, and that is told; an IPv6 route stays, loses its source, and nothing is told.
#
# Seen: Linux 6.18.44, pyroute2 0.9.5, Python 3.11.
# The addresses are on one link, the routes on another. After the addresses are removed a listener for the routes of both
# families has heard that the IPv4 route was deleted, and nothing of the IPv6 route, which now has no source: what this host
# sends there may come from another address. Putting the addresses back brings neither back.
#
# Output seen:
#   told: v4 deleted True, v6 changed False
#   now: v4 there False, v6 there True with source None
#   with the addresses back: v4 there False, v6 there True with source None
#
# Needs root (a network namespace of its own) and pip. Fails if any of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" pyroute2==0.9.5
cat > "$folder/source.py" <<'PYTHON'
import socket
import struct

from pyroute2 import IPRoute

RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
RTM_DELROUTE = 25
SOURCES = {socket.AF_INET: ("192.0.2.1", 24), socket.AF_INET6: ("2001:db8:2::1", 64)}
ROUTES = {socket.AF_INET: "10.9.0.0", socket.AF_INET6: "2001:db8:9::"}

ip = IPRoute()
ip.link("add", ifname="one", kind="veth", peer="two")
ip.link("add", ifname="three", kind="veth", peer="four")
index = {name: ip.link_lookup(ifname=name)[0] for name in ("one", "two", "three", "four")}
for link in index.values():
    ip.link("set", index=link, state="up")


def addresses(command):
    for family, (address, prefix) in SOURCES.items():
        flags = {"flags": 0x02} if family == socket.AF_INET6 and command == "add" else {}
        ip.addr(command, index=index["one"], address=address, prefixlen=prefix, **flags)


def now():
    """Of each family: whether the route is there, and its source."""
    found = {}
    for family, dst in ROUTES.items():
        for route in ip.get_routes(family=family):
            attrs = dict(route["attrs"])
            if attrs.get("RTA_DST") == dst and attrs.get("RTA_OIF") == index["three"]:
                found[family] = attrs.get("RTA_PREFSRC")
    v4, v6 = socket.AF_INET, socket.AF_INET6
    return v4 in found, v6 in found, found.get(v6)


addresses("add")
for family, dst in ROUTES.items():
    length = 24 if family == socket.AF_INET else 64
    ip.route("add", dst=f"{dst}/{length}", oif=index["three"], prefsrc=SOURCES[family][0])
assert now() == (True, True, SOURCES[socket.AF_INET6][0]), now()

listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
listener.setblocking(False)
addresses("del")
deleted, changed = False, False
while True:
    try:
        datagram = listener.recv(1 << 16)
    except BlockingIOError:
        break
    while datagram:
        length, kind = struct.unpack_from("=IH", datagram)
        message = datagram[:length]
        deleted |= kind == RTM_DELROUTE and socket.inet_aton(ROUTES[socket.AF_INET]) in message
        changed |= socket.inet_pton(socket.AF_INET6, ROUTES[socket.AF_INET6]) in message
        datagram = datagram[(length + 3) & ~3:]
print(f"told: v4 deleted {deleted}, v6 changed {changed}")
gone = now()
print(f"now: v4 there {gone[0]}, v6 there {gone[1]} with source {gone[2]}")
addresses("add")
back = now()
print(f"with the addresses back: v4 there {back[0]}, v6 there {back[1]} with source {back[2]}")
seen = (deleted, changed, gone, back)
raise SystemExit(0 if seen == (True, False, (False, True, None), (False, True, None)) else 1)
PYTHON
PYTHONPATH="$folder" unshare --net python3 "$folder/source.py"
