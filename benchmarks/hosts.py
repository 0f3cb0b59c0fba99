"""Set-up and tear-down of a host with its link: ours, ``ip netns`` by shell, and ``unshare -n true`` as the floor.

The kernel dismantles namespaces in the background. No contestant waits for that.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess

from benchmarks.measuring import heading, race, rows
from halfopen.netns import _libc, isolation
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab

ROUNDS = 60

FLOOR = "unshare -n true"
# The router stays, as it does in ours, so each round needs a new name for the link's end there.
IP_NETNS = """
ip netns add host
ip link add eth1 netns host type veth peer name {there} netns router
ip -n host addr add 198.18.0.1/24 dev eth1
ip -n router addr add 198.18.0.2/24 dev {there}
ip -n host link set lo up
ip -n host link set eth1 up
ip -n router link set {there} up
ip -n host neigh replace 198.18.0.2 lladdr 02:00:00:00:00:02 dev eth1 nud permanent
ip -n host route add default via 198.18.0.2
ip netns del host
"""


def run() -> None:
    """Print the table."""
    isolation.run(_measure)


def _measure() -> int:
    with Lab() as lab:
        router = lab.router("router")
        contest = {FLOOR: lambda: _shell(FLOOR), "a host and its link (netns)": lambda: _ours(lab, router)}
        if shutil.which("ip"):
            _libc.mount("none", "/run", "tmpfs", 0)  # ip keeps its names here; this mount is private and temporary
            _shell("ip netns add router")
            numbers = itertools.count()
            contest["a host and its link (ip netns, by shell)"] = lambda: _shell(
                IP_NETNS.format(there=f"veth{next(numbers)}")
            )
        print(heading("Set-up and tear-down"))
        print("\n".join(rows(race(contest, ROUNDS), FLOOR)))
    return 0


def _ours(lab: Lab, router: Host) -> None:
    host = Host("host")
    lab.link(host, router)
    host.close()


def _shell(script: str) -> None:
    subprocess.run(["/bin/sh", "-ec", script], check=True)
