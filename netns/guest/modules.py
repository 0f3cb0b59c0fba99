"""Which modules a guest kernel needs for the lab, and the command that loads them there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

#: What the lab uses, and overlay for the guest's own /tmp: the names of files, without ".ko".
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
    """The command that loads, in a guest, what the lab needs of the modules in ``folder``; empty if there are none.

    By our own interpreter, since not every machine has kmod.
    """
    try:
        dependencies = (folder / "modules.dep").read_text()
    except FileNotFoundError:
        return []
    files = [str(folder / name) for name in load_order(dependencies, WANTED)]
    return [sys.executable, "-I", "-S", str(_INSERT), *files]


def load_order(dependencies: str, wanted: Sequence[str]) -> list[str]:
    """The files to load for the ``wanted`` modules, each after all that it depends on.

    ``dependencies`` is the text of modules.dep (modules.dep(5)): a file, a colon, and the files it
    needs, direct or not, the one to load first at the end. What is not in it is built in, or missing.
    """
    needs = dict(_lines(dependencies))
    files = {Path(file).stem: file for file in needs}
    found = [files[name] for name in wanted if name in files]
    return list(dict.fromkeys(step for file in found for step in (*reversed(needs[file]), file)))


def _lines(dependencies: str) -> Iterator[tuple[str, list[str]]]:
    for line in dependencies.splitlines():
        file, _, needed = line.partition(":")
        yield file, needed.split()
