from __future__ import annotations

import pytest
import typer

from halfopen.cli import exits
from halfopen.errors import InputError
from halfopen.netns.lab_errors import LabError


@pytest.mark.parametrize("error", [InputError("Not\nthis"), LabError("not this")])
def test_what_a_user_can_get_wrong_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise error

    assert exits.explained(work) == 2
    assert capsys.readouterr().err == "halfopen: not this\n"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (typer.Abort(), 130), (typer.Exit(5), 5), (ZeroDivisionError(), 70)]
)
def test_every_other_end_has_its_code(error: BaseException, code: int) -> None:
    def work() -> int:
        raise error

    assert exits.explained(work) == code
