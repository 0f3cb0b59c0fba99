from __future__ import annotations

from pathlib import Path

from netns.guest.thrashing import keep_file_pages

VMSCAN = """
	nr_to_scan >>= sc->priority;
		scan >>= sc->priority;

		if (!scan)
"""


def tree(place: Path, text: str) -> Path:
    (place / "mm").mkdir(parents=True)
    (place / "mm" / "vmscan.c").write_text(text)
    return place


def test_the_last_file_pages_are_no_longer_looked_at(tmp_path: Path) -> None:
    assert keep_file_pages(tree(tmp_path, VMSCAN))
    text = (tmp_path / "mm" / "vmscan.c").read_text()
    assert "\t\tscan >>= sc->priority;\n\t\tif (file && node_page_state(" in text
    assert "< totalram_pages() / 16)\n\t\t\tscan = 0;\n\n\t\tif (!scan)\n" in text
    assert text.startswith("\n\tnr_to_scan >>= sc->priority;\n\t\tscan")


def test_a_source_that_is_not_as_it_was_known_stays_as_it_is(tmp_path: Path) -> None:
    other = VMSCAN.replace("\t\tscan >>=", "\t\tscan = scan >>")
    assert not keep_file_pages(tree(tmp_path, other))
    assert (tmp_path / "mm" / "vmscan.c").read_text() == other
    assert not keep_file_pages(tmp_path / "nowhere")
