"""Which sessions are written out to be looked into."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.grace import notable
from harness.grace.model import Came, Draw, Sweep, Tried
from tests.harness.grace import made

DRAWS = (
    Draw(0, "mix", "outage", "0000-outage", "alive"),
    Draw(1, "dead", "frozen", "0001-frozen", "dead"),
    Draw(2, "staircase", "staircase", "0002-staircase", "a step"),
)
SWEEP = Sweep(7, DRAWS, made.contenders("bytes-acked"))


def names(*tried: Tried) -> list[str]:
    return [draw.cause for draw in notable.notable(SWEEP, tried)]


@pytest.mark.parametrize(
    ("number", "came", "found"),
    [
        (0, "kept", []),
        (0, "reaped", ["outage"]),
        (1, "reaped", []),
        (1, "kept", ["frozen"]),
        (2, "kept", []),
        (2, "reaped", []),
        (2, "unproved", ["staircase"]),
    ],
)
def test_what_should_not_have_come_of_it_is_notable(number: int, came: Came, found: list[str]) -> None:
    assert names(made.tried(number, 0, came)) == found


@pytest.mark.parametrize(("foretold_at", "found"), [(31.0, []), (33.0, ["frozen"]), (None, ["frozen"])])
def test_so_is_what_was_foretold_wrongly(foretold_at: float | None, found: list[str]) -> None:
    one = made.tried(1, 0, "reaped", reaped_at=31.0, really=True, foretold=True)
    assert names(msgspec.structs.replace(one, foretold_at=foretold_at)) == found


def test_each_has_its_file_and_what_was_there_before_is_gone(tmp_path: Path) -> None:
    notable.write(tmp_path, DRAWS[:2])
    notable.write(tmp_path, DRAWS[1:])
    found = {file.name: file.read_text() for file in (tmp_path / "draws").iterdir()}
    assert found == {"0001-frozen.toml": "dead", "0002-staircase.toml": "a step"}
