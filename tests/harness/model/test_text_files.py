from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.model import text_files


def refused(path: Path) -> str:
    with pytest.raises(InputError) as told:
        text_files.text_of(path, "mix file", "x")
    assert "\n" not in str(told.value)
    return str(told.value)


def test_marks_and_newlines_of_other_systems_are_not_part_of_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbftitle\r\nK\xc3\xb6ln\rend\n")
    assert text_files.text_of(tmp_path / "x", "mix file") == "title\nKöln\nend\n"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "x") == "no such mix file: x"


def test_what_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    assert refused(tmp_path) == "cannot read mix file x: is a directory; name one that can be read"


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x7fELF\x80")
    assert refused(tmp_path / "x") == "cannot read mix file x: it is no text in UTF-8; name one that can be read"


def test_what_is_too_large_is_refused_and_the_rest_of_it_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * text_files.MOST)
    assert len(text_files.text_of(tmp_path / "x", "mix file")) == text_files.MOST
    assert refused(Path("/dev/zero")) == "mix file x is larger than 4 MiB; name one that is smaller"


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    writer = threading.Thread(target=(tmp_path / "x").write_text, args=("said",))
    writer.start()
    assert text_files.text_of(tmp_path / "x", "mix file") == "said"
    writer.join()
