"""The whole comparison at production grace: the incident's history as facts, and the worth of each detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from halfopen.results.words import anchor
from tests.browser import browser, opened
from tests.harness.cli.tool import halfopen
from tests.machine import needs_browser, needs_guest, needs_haproxy, needs_nginx

pytestmark = [pytest.mark.exhaustive, needs_guest, needs_nginx, needs_haproxy]

Run = dict[str, Any]

#: Most bytes of the page that shows all of it.
MOST_OF_A_REPORT = 3_000_000
#: Deaths that the server's kernel does not report by itself: the connection stays ESTABLISHED.
HIDDEN = {
    "acks_lost", "edge_holds", "edge_holds_haproxy", "edge_holds_silent", "frozen", "frozen_silent",
    "frozen_small_frames", "frozen_then_gone", "frozen_tls", "nat_expired", "slept", "vanished", "vanished_silent",
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run one comparison of everything. Shared by many tests."""
    folder = tmp_path_factory.mktemp("comparison")
    ran = halfopen("compare", "--clock", "virtual", "--seed", "7", "--out", str(folder))
    assert ran.code in (0, 3), ran
    return folder


@pytest.fixture(scope="module")
def table(out: Path) -> dict[str, Any]:
    """Return its results."""
    found: dict[str, Any] = json.loads((out / "compare.json").read_text())
    return found


@needs_browser
def test_its_page_is_small_and_opens_at_a_failed_run(out: Path) -> None:
    page = out / "report.html"
    assert page.stat().st_size < MOST_OF_A_REPORT
    with browser() as chromium, opened(chromium, page, anchor("none/frozen")) as one:
        run = one.page.locator('[id="none/frozen"]')
        assert run.get_by_text("session still held").is_visible()
        expect(run.locator("canvas")).to_have_count(4)


def of(table: dict[str, Any], detector: str, *classes: str) -> set[str]:
    """Return the scenarios in which the detector got one of these classes."""
    return {run["scenario"] for run in table["runs"] if run["detector"] == detector and run["class"] in classes}


def test_it_compares_ten_detectors_against_more_than_thirty_scenarios(table: dict[str, Any]) -> None:
    assert len(table["detectors"]) >= 10
    assert len({run["scenario"] for run in table["runs"]}) >= 30
    assert table["grace_s"] == 30


def test_every_cell_is_proved(table: dict[str, Any]) -> None:
    unproved = [
        f"{run['detector']} {run['scenario']}: {run['why']}"
        for run in table["runs"]
        if run["verdict"] == "inconclusive"
    ]
    assert not unproved


def test_without_a_detector_every_hidden_death_is_missed(table: dict[str, Any]) -> None:
    assert of(table, "none", "missed") == HIDDEN
    assert not of(table, "none", "false_reap")


def test_application_acknowledgements_end_the_paused(table: dict[str, Any]) -> None:
    assert "paused" in of(table, "ack-stall", "false_reap")


def test_a_starved_server_ends_its_client_by_one_detector_or_another(table: dict[str, Any]) -> None:
    """In three scenarios the readers of answers race with the detectors that miss them for the interpreter's lock."""
    assert "gil_starved" in of(table, "ack-stall", "false_reap") | of(table, "ping-timeout", "false_reap")


def test_the_queue_alone_ends_who_keeps_it_at_one_level(table: dict[str, Any]) -> None:
    assert "plateau" in of(table, "outq", "false_reap")


def test_the_merged_rule_gets_the_incidents_five_rows_right(table: dict[str, Any]) -> None:
    assert "frozen" in of(table, "bytes-acked", "true_reap")
    assert {"active", "paused", "backpressured"} <= of(table, "bytes-acked", "true_keep")
    assert "clean_close" in of(table, "bytes-acked", "closed")


def test_the_merged_rule_errs_where_it_is_known_to(table: dict[str, Any]) -> None:
    # Nothing queued; a window that never closes; nothing queued in front of a proxy that answers for the dead client.
    assert of(table, "bytes-acked", "missed") == {"frozen_silent", "frozen_small_frames", "edge_holds_silent"}
    # Retransmissions further apart than the outage; a window that opens once a sixteenth of 32 MiB is read; SACK holes.
    assert of(table, "bytes-acked", "false_reap") == {
        "outage_20s_rtt300", "outage_27s_rtt300", "outage_40s_rtt20", "outage_40s_rtt300",
        "trickle_autotuned", "slowest_link",
    }  # fmt: skip


def test_a_ping_is_blind_where_it_waits_for_the_stuck_send(table: dict[str, Any]) -> None:
    assert {"frozen", "vanished"} <= of(table, "ping-timeout", "missed")
    assert {"frozen_silent", "vanished_silent"} <= of(table, "ping-timeout", "true_reap")


def test_keepalive_is_blind_while_anything_is_queued(table: dict[str, Any]) -> None:
    assert {"vanished", "acks_lost", "frozen"} <= of(table, "so-keepalive", "missed")


def test_halfopen_finds_every_death_in_time_and_ends_nobody_alive(table: dict[str, Any]) -> None:
    wrong = [run for run in table["runs"] if run["detector"] == "halfopen" and run["verdict"] != "passed"]
    assert not wrong
    assert not of(table, "halfopen", "missed", "false_reap")


def test_after_halfopen_no_orphan_stays(table: dict[str, Any]) -> None:
    assert not [run for run in table["runs"] if run["detector"] == "halfopen" and run["orphan_bytes"]]


def test_halfopen_beats_every_other(table: dict[str, Any]) -> None:
    errors = {detector: len(of(table, detector, "missed", "false_reap")) for detector in table["detectors"]}
    assert errors.pop("halfopen") == 0
    assert all(count > 0 for count in errors.values()), errors
