from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from halfopen.netns.guest import modules
from halfopen.netns.guest.modules import load_order, loader

# As depmod writes it: a module's dependencies, with the first one to load at the end.
DEPENDENCIES = """\
kernel/net/netfilter/nfnetlink.ko:
kernel/net/netfilter/nf_tables.ko: kernel/net/netfilter/nfnetlink.ko
kernel/net/netfilter/nft_ct.ko: kernel/net/netfilter/nf_conntrack.ko kernel/net/netfilter/nf_tables.ko \
kernel/net/netfilter/nfnetlink.ko
kernel/net/netfilter/nf_conntrack.ko:
kernel/net/sched/sch_netem.ko:
"""


def names(files: list[str]) -> list[str]:
    return [Path(file).stem for file in files]


def test_a_module_comes_after_all_that_it_needs() -> None:
    order = names(load_order(DEPENDENCIES, ["nft_ct"]))
    assert order == ["nfnetlink", "nf_tables", "nf_conntrack", "nft_ct"]


def test_none_is_loaded_twice_and_none_that_nobody_asked_for() -> None:
    assert names(load_order(DEPENDENCIES, ["nf_tables", "sch_netem", "nf_tables", "nfnetlink"])) == [
        "nfnetlink",
        "nf_tables",
        "sch_netem",
    ]


def test_what_is_no_module_is_built_in_or_missing_and_left_out() -> None:
    assert load_order(DEPENDENCIES, ["veth"]) == []


def test_a_kernel_without_modules_needs_no_loader(tmp_path: Path) -> None:
    assert loader(tmp_path / "none") == []


def test_modules_are_loaded_by_our_own_interpreter_from_where_they_are_kept(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(DEPENDENCIES)
    command = loader(tmp_path)
    assert command[0] == sys.executable
    assert command[-1] == str(tmp_path / "kernel/net/netfilter/nf_tables.ko")
    assert str(tmp_path / "kernel/net/sched/sch_netem.ko") in command


def test_a_module_that_cannot_be_loaded_is_told_and_the_rest_is_tried(tmp_path: Path) -> None:
    # Outside a guest: a missing file, and one that no kernel accepts, even from root.
    bad = tmp_path / "bad.ko"
    bad.write_text("no module")
    program = Path(modules.__file__).with_name("insert.py")
    command = [sys.executable, "-I", "-S", str(program), "/nowhere/a.ko", str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stderr.splitlines()
    assert first == f"halfopen: the guest cannot load the module /nowhere/a.ko: {os.strerror(2)}"
    assert second.startswith(f"halfopen: the guest cannot load the module {bad}: ")
