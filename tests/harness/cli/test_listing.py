from __future__ import annotations

from tests.harness.cli.tool import halfopen


def test_scenarios_are_listed_by_suite() -> None:
    ran = halfopen("list", "pod_5090")
    assert (ran.code, ran.err) == (0, "")
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "suite     scenario       truth  expected  what",
        "pod_5090  active         alive  kept      Active client",
        "pod_5090  backpressured  alive  kept      Backpressured client",
        "pod_5090  clean_close    ended  closed    Clean close",
        "pod_5090  frozen         dead   reaped    Frozen client",
        "pod_5090  paused         alive  kept      Paused client",
        "",
        "detectors: ack-stall, bytes-acked, halfopen, none, outq, ping-timeout,",
        "ping-timeout-90, so-keepalive, so-sndtimeo, tcp-user-timeout",
    ]


def test_everything_is_listed_by_default() -> None:
    assert "wedge" in halfopen("list").out


def test_what_cannot_be_listed_is_told() -> None:
    ran = halfopen("list", "wegde")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "halfopen: no scenario, suite, file or folder is called 'wegde'; did you mean 'wedge'?\n"


def test_the_version_is_told() -> None:
    ran = halfopen("--version")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("halfopen ")
