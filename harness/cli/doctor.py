"""``halfopen doctor``: report what this machine can do, and the remedy for what it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyroute2.netlink.exceptions import NetlinkError
from rich.console import Console
from rich.markup import escape

from halfopen import plugins, proxies
from halfopen.cli.console import console as make_console
from halfopen.cli.exits import isolated
from halfopen.errors import InputError
from halfopen.guard import permission
from halfopen.netns import capabilities
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest import cache
from halfopen.netns.lab import Lab, kernel_has_discipline
from halfopen.netns.lab_errors import IsolationError, LabError
from halfopen.run.hindrances import lacking_proxy
from halfopen.scenario.spec import Edge
from halfopen.targets.engine import engine


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. A missing feature does not always prevent a run."""

    says: str
    ok: bool = True
    needed: bool = True


def doctor() -> int:
    """Check that this machine has what the lab needs.

    It needs namespaces, links, rate limits, cuts, samples. Exits 1 if a need is unmet.
    """
    console = make_console()
    console.print(f"kernel {capabilities.kernel_release()}")
    try:
        return isolated(lambda: _report(console, {what: attempt(probe) for what, probe in _PROBES.items()}))
    except IsolationError as error:
        # A guest makes its labs in namespaces of its own.
        refused = Check(str(error), ok=False, needed=cache.newest() is None)
        others = {"virtual clock": _virtual_clock(), "proxies": _proxies(), "guard": _guard()}
        return _report(console, {"namespaces": refused, **others})


def attempt(probe: Callable[[], Check]) -> Check:
    """Return the probe's result, also if the kernel refuses it."""
    try:
        return probe()
    except (LabError, NetlinkError, OSError) as error:
        return Check(f"the kernel refuses: {error}", ok=False)


def _namespaces() -> Check:
    how = "user too, so no root is needed" if capabilities.in_new_user_namespace() else "as root"
    return Check(f"pid, mount and network, {how}")


def _links() -> Check:
    with Lab() as lab:
        lab.link(lab.host("host"), lab.router("router"))
    return Check("veth")


def _cuts() -> Check:
    with Lab() as lab, lab.link(lab.host("host"), lab.router("router")).cut() as cut:
        return Check(cut.means)


def _samples() -> Check:
    with Lab() as lab, contextlib.closing(lab.host("host").socket_reader()) as reader:
        reader.connections()
    return Check("sock_diag")


def _rates() -> Check:
    if kernel_has_discipline("tbf"):
        return Check("sch_tbf")
    return Check("this kernel has no sch_tbf", ok=False)


def _netem() -> Check:
    if kernel_has_discipline("netem"):
        return Check("sch_netem", needed=False)
    guest = cache.newest()
    instead = "run in a guest kernel" if guest else "left out; build a guest kernel with: halfopen kernel build"
    says = f"this kernel has no sch_netem: scenarios with delay, jitter or loss are {instead}"
    return Check(says, ok=guest is not None, needed=False)


def _virtual_clock() -> Check:
    guest = cache.newest()
    if guest is None:
        return Check("no guest kernel; build it with: halfopen kernel build", ok=False, needed=False)
    return Check(f"Linux {guest.version} as a guest, which needs no namespaces", needed=False)


def _proxies() -> Check:
    lacking = [lack for name in plugins.names(proxies) if (lack := lacking_proxy(Edge(proxy=name))) is not None]
    if not lacking:
        return Check(", ".join(plugins.names(proxies)), needed=False)
    says = "; ".join(f"{lack.why.removeprefix('needs ')}: {lack.remedy}" for lack in lacking)
    return Check(f"scenarios behind one that is missing are left out: {says}", ok=False, needed=False)


def _containers() -> Check:
    try:
        with engine() as client:
            version = client.version()["Version"]
    except InputError as error:
        return Check(str(error), ok=False, needed=False)
    if capabilities.in_new_user_namespace():
        return Check(f"engine {version}, but --image needs root", ok=False, needed=False)
    return Check(f"engine {version}", needed=False)


def _guard() -> Check:
    number = permission.refusal_for_a_child()
    if not number:
        return Check("a parent may end its children's connections (pidfd_getfd)", needed=False)
    return Check(permission.explain(number, is_child=True), ok=False, needed=False)


_PROBES: dict[str, Callable[[], Check]] = {
    "namespaces": _namespaces,
    "links": _links,
    "rate limits": _rates,
    "cuts": _cuts,
    "samples": _samples,
    "delay and loss": _netem,
    "virtual clock": _virtual_clock,
    "proxies": _proxies,
    "containers": _containers,
    "guard": _guard,
}


def _report(console: Console, checks: Mapping[str, Check]) -> int:
    for what, check in checks.items():
        mark = "[green]ok[/]" if check.ok else ("[red]no[/]" if check.needed else "[yellow]no[/]")
        console.print(f"  {mark}  {what}: {escape(check.says)}", soft_wrap=True)
    unmet = any(check.needed and not check.ok for check in checks.values())
    console.print("this machine cannot run labs" if unmet else "this machine can run labs")
    return ExitCode.FAILED if unmet else ExitCode.PASSED
