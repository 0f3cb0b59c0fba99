from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from halfopen.cli import exits
from halfopen.errors import InputError
from halfopen.netns.lab_errors import LabError


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


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


def divide() -> int:
    return 1 // 0


def divide_in_a_thread() -> int:
    thread = threading.Thread(target=divide)
    thread.start()
    thread.join()
    return 0


@pytest.mark.parametrize("work", [divide, divide_in_a_thread])
def test_an_error_of_ours_is_one_line_that_names_its_traceback(
    work: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.explained(work) == 70
    (file,) = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        "halfopen: internal error: ZeroDivisionError: integer division or modulo by zero; "
        f"report it, with the traceback in {file}\n"
    )
    assert "in divide\n" in file.read_text()


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("No such option: --x", "no such option: --x"),
        (
            "Invalid value for '--clock': Value error, 'foo' is not one of 'auto', 'real', 'virtual'.",
            "--clock: 'foo' is not one of 'auto', 'real', 'virtual'",
        ),
        (
            "Invalid value for '--repeat': Input should be a valid integer, unable to parse string as an integer",
            "--repeat: it should be a valid integer, unable to parse string as an integer",
        ),
        ("two\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_an_error_is_one_line_in_our_style_whoever_worded_it(message: str, line: str) -> None:
    assert exits.one_line(message) == line
