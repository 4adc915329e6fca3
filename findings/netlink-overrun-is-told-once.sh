#!/usr/bin/env bash
# Linux tells a netlink listener once that it has missed notifications, and then drops everything without a word until the
# listener has emptied its buffer.
#
# Seen: Linux 6.18.44, pyroute2 0.9.5, Python 3.11.
# A socket that hears of routes (RTMGRP_IPV4_ROUTE) has a small buffer, and nobody reads while 1,000 routes are added:
#   - the first recv() fails with ENOBUFS, as netlink(7) says, and means: read everything anew;
#   - who reads the routes now, and takes for certain that all later changes come through the socket, is wrong: a route that
#     is added before the old notifications are read is not told, and no second ENOBUFS says so;
#   - once the buffer is empty, the next change is told again.
# So the order that works: after ENOBUFS read the socket until it is empty, and only then read the state.
#
# Output seen:
#   after the flood: ENOBUFS
#   a route added before the buffer was emptied: told False, further errors 0
#   a route added after that: told True
#
# Needs root (a network namespace of its own) and pip. Fails if any of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" pyroute2==0.9.5
cat > "$folder/overrun.py" <<'PYTHON'
import errno
import socket

from pyroute2 import IPRoute

RTMGRP_IPV4_ROUTE = 0x40
ip = IPRoute()
lo = ip.link_lookup(ifname="lo")[0]
ip.link("set", index=lo, state="up")


def add(address):
    ip.route("add", dst=address + "/32", oif=lo)


def read(listener):
    """A datagram, or the name of the error."""
    try:
        return listener.recv(65536), None
    except OSError as error:
        return b"", errno.errorcode[error.errno]


listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind((0, RTMGRP_IPV4_ROUTE))
listener.setblocking(False)

for n in range(1000):
    add(f"10.9.{n // 250}.{n % 250 + 1}")
_, first = read(listener)
print("after the flood:", first)

# Somebody reads all routes here and believes to be up to date.
add("10.99.0.1")
heard, errors = b"", 0
while True:
    datagram, error = read(listener)
    if error == "EAGAIN":
        break
    heard += datagram
    errors += error is not None
late = socket.inet_aton("10.99.0.1") in heard
print(f"a route added before the buffer was emptied: told {late}, further errors {errors}")

add("10.99.0.2")
after = socket.inet_aton("10.99.0.2") in read(listener)[0]
print("a route added after that: told", after)
raise SystemExit(0 if (first, late, errors, after) == ("ENOBUFS", False, 0, True) else 1)
PYTHON
PYTHONPATH="$folder" unshare --net python3 "$folder/overrun.py"
