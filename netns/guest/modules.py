"""The modules that a guest kernel needs for the lab, and the command that loads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Modules of the lab, and overlay for the guest's own /tmp: names of files, without ".ko".
WANTED = (
    "overlay",
    "ipv6",
    "veth",
    "dummy",
    "ifb",
    "tun",
    "tcp_bbr",
    "sch_netem",
    "sch_tbf",
    "sch_htb",
    "sch_fq",
    "sch_fq_codel",
    "sch_ingress",
    "cls_u32",
    "cls_matchall",
    "act_mirred",
    "act_gact",
    "nf_tables",
    "tcp_diag",
    "unix_diag",
    "af_packet_diag",
)
_INSERT = Path(__file__).with_name("insert.py")


def loader(folder: Path) -> list[str]:
    """Return the command that loads the lab's modules from ``folder`` in a guest; empty if there are none.

    It uses our own interpreter, since not every machine has kmod.
    """
    try:
        dependencies = (folder / "modules.dep").read_text()
    except FileNotFoundError:
        return []
    files = [str(folder / name) for name in load_order(dependencies, WANTED)]
    return [sys.executable, "-I", "-S", str(_INSERT), *files]


def load_order(dependencies: str, wanted: Sequence[str]) -> list[str]:
    """Return the files to load for the ``wanted`` modules, each after all its dependencies.

    ``dependencies`` is the text of modules.dep (modules.dep(5)): a file, a colon, and its direct and indirect
    dependencies, the first to load at the end. Modules that are not listed are built in, or missing.
    """
    needs = dict(_lines(dependencies))
    files = {Path(file).stem: file for file in needs}
    found = [files[name] for name in wanted if name in files]
    return list(dict.fromkeys(step for file in found for step in (*reversed(needs[file]), file)))


def _lines(dependencies: str) -> Iterator[tuple[str, list[str]]]:
    for line in dependencies.splitlines():
        file, _, needed = line.partition(":")
        yield file, needed.split()
