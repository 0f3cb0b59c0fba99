"""The same call on every kernel and clock: the sessions' outcomes are the same everywhere."""

from __future__ import annotations

import concurrent.futures
import copy
import itertools
import os
from typing import Any

import pytest

from benchmarks.agreement import GUEST, HOST, VIRTUAL, Surroundings, Table, differences
from halfopen.netns.guest import cache
from tests.machine import needs_guest, needs_labs

pytestmark = [needs_labs, needs_guest]

#: The incident, at the shortest grace that a pod takes. Each session is observed for two graces.
CALL = ["pod_5090", "wedge", "--grace", "5s", "--poll", "1s", "--hold", "10s", "--seed", "7"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    """Make results.json with each kernel and clock, all at the same time: on real clocks they mostly wait."""
    everywhere = [HOST, VIRTUAL, GUEST]
    # Made here, since pytest's factory is not thread-safe.
    places = [tmp_path_factory.mktemp("surroundings") for _ in everywhere]
    with concurrent.futures.ThreadPoolExecutor(len(everywhere)) as pool:
        found = list(pool.map(Surroundings.run, everywhere, itertools.repeat(CALL), places))
    return {surroundings.name: table for surroundings, table in zip(everywhere, found, strict=True)}


def test_outcomes_classes_and_verdicts_are_the_same_and_latencies_within_one_poll(tables: dict[str, Table]) -> None:
    assert differences(tables) == []
    # They must not agree because nothing happened.
    for table in tables.values():
        assert {run["scenario"]: run["class"] for run in table["runs"]} == {
            "active": "true_keep",
            "backpressured": "true_keep",
            "clean_close": "closed",
            "frozen": "true_reap",
            "paused": "true_keep",
            "wedge": "missed",
        }


def test_each_ran_where_it_was_to(tables: dict[str, Table]) -> None:
    host, virtual, guest = tables.values()
    assert [table["clock"] for table in (host, virtual, guest)] == ["real", "virtual", "real"]
    # The guest may have one Linux version, and the machine another.
    kernel = cache.newest()
    assert kernel is not None
    assert [table["kernel"] for table in (host, virtual, guest)] == [os.uname().release, kernel.version, kernel.version]


@pytest.mark.parametrize(
    ("scenario", "key", "value"),
    [
        ("frozen", "class", "missed"),
        ("active", "outcome", "reaped"),
        ("clean_close", "verdict", "inconclusive"),
        ("frozen", "detection_s", None),
        ("frozen", "detection_s", 7.5),
        ("paused", "detection_s", 5.0),
    ],
)
def test_whatever_one_sees_otherwise_is_told(tables: dict[str, Table], scenario: str, key: str, value: Any) -> None:
    strange = copy.deepcopy(tables[HOST.name])
    next(run for run in strange["runs"] if run["scenario"] == scenario)[key] = value
    (told,) = differences(tables | {"strange": strange})
    assert told.startswith(f"{scenario}: {key.removesuffix('_s')}: ")
    assert f"{value} (strange)" in told
