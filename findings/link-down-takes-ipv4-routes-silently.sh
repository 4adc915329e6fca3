#!/usr/bin/env bash
# Linux removes the IPv4 routes of a link that goes down without a notification; of the IPv6 routes it tells each.
#
# Seen: Linux 6.18.44, pyroute2 0.9.5, Python 3.11.
# A listener for links and for the routes of both families hears, when a link with an IPv4 and an IPv6 route is set down:
# that the link is down (RTM_NEWLINK), and RTM_DELROUTE for the IPv6 route. For the IPv4 route it hears nothing, though it is
# gone; and neither comes back when the link is up again, of which again only the link is told. Whoever keeps IPv4 routes by
# listening for their deletions keeps a list that is wrong until something else makes it read the table.
#
# Output seen:
#   routes before: v4 True, v6 True
#   told at down: link True, v4 route False, v6 route True
#   routes after down and up: v4 False, v6 False
#
# Needs root (a network namespace of its own) and pip. Fails if any of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" pyroute2==0.9.5
cat > "$folder/down.py" <<'PYTHON'
import socket
import struct

from pyroute2 import IPRoute

RTMGRP_LINK, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x1, 0x40, 0x400
RTM_NEWLINK, RTM_DELROUTE = 16, 25
V4, V6 = "10.9.0.0/24", "2001:db8:9::/64"

ip = IPRoute()
ip.link("add", ifname="one", kind="veth", peer="two")
one, two = (ip.link_lookup(ifname=name)[0] for name in ("one", "two"))
for index in (one, two):
    ip.link("set", index=index, state="up")
ip.route("add", dst=V4, oif=one)
ip.route("add", dst=V6, oif=one)


def there(family, dst):
    found = (dict(route["attrs"]) for route in ip.get_routes(family=family))
    return any(attrs.get("RTA_DST") == dst.split("/")[0] and attrs.get("RTA_OIF") == one for attrs in found)


def told(listener):
    """Kinds of messages, with the family in the first byte after the header."""
    kinds = []
    while True:
        try:
            datagram = listener.recv(1 << 16)
        except BlockingIOError:
            return kinds
        while datagram:
            length, kind = struct.unpack_from("=IH", datagram)
            kinds.append((kind, datagram[16], datagram[:length]))
            datagram = datagram[(length + 3) & ~3:]


print(f"routes before: v4 {there(socket.AF_INET, V4)}, v6 {there(socket.AF_INET6, V6)}")
listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.bind((0, RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
listener.setblocking(False)
ip.link("set", index=one, state="down")
heard = told(listener)
ours = socket.inet_pton(socket.AF_INET6, "2001:db8:9::")
link = any(kind == RTM_NEWLINK for kind, _, _ in heard)
v4 = any(kind == RTM_DELROUTE and family == socket.AF_INET for kind, family, _ in heard)
v6 = any(kind == RTM_DELROUTE and family == socket.AF_INET6 and ours in message for kind, family, message in heard)
print(f"told at down: link {link}, v4 route {v4}, v6 route {v6}")
ip.link("set", index=one, state="up")
after = (there(socket.AF_INET, V4), there(socket.AF_INET6, V6))
print(f"routes after down and up: v4 {after[0]}, v6 {after[1]}")
raise SystemExit(0 if (link, v4, v6, after) == (True, False, True, (False, False)) else 1)
PYTHON
PYTHONPATH="$folder" unshare --net python3 "$folder/down.py"
