"""The fields that a report needs in its results, and the errors that name a missing or wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from halfopen.errors import InputError
from halfopen.report import shape
from tests.harness.done import missed
from tests.harness.report import made


def test_what_is_written_is_what_is_needed() -> None:
    shape.check(made.table([missed(), made.kept(), made.reaped(), made.behind_a_proxy()]), "results.json")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"grace_s": None}, "x: key 'grace_s' takes a number, got None"),
        ({"runs": None}, "x: key 'runs' takes a list, got None"),
        ({"runs": [{"verdict": "passed"}]}, "x: key 'runs[0].scenario' is missing"),
        (
            {"runs": [{"scenario": "a", "verdict": "pass"}]},
            "x: key 'runs[0].verdict' does not know 'pass'; did you mean",
        ),
        (
            {"runs": [{"scenario": "a", "verdict": "passed", "onset_s": "1"}]},
            "x: key 'runs[0].onset_s' takes a number, got '1'",
        ),
    ],
)
def test_what_is_not_so_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        shape.check(made.table([made.kept()]) | changed, "x")
    assert str(error.value).startswith(said)
