from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.patches.livelocks import end_livelocks

VMSCAN = """
	nr_to_scan >>= sc->priority;
		scan >>= sc->priority;

		if (!scan)
"""
PAGE_ALLOC = """
	if (current->flags & PF_WQ_WORKER)
		schedule_timeout_uninterruptible(1);
	else
		cond_resched();
out:
"""
DCACHE = """
			continue;
		}

		cond_resched();
		if (!data.found)
			break;
		data.victim = NULL;
"""


def tree(place: Path, vmscan: str = VMSCAN, dcache: str = DCACHE) -> Path:
    for name, text in (("mm/vmscan.c", vmscan), ("fs/dcache.c", dcache), ("mm/page_alloc.c", PAGE_ALLOC)):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def texts(place: Path) -> list[str]:
    return [(place / name).read_text() for name in ("mm/vmscan.c", "fs/dcache.c")]


def test_the_last_file_pages_are_no_longer_looked_at(tmp_path: Path) -> None:
    end_livelocks(tree(tmp_path))
    text = texts(tmp_path)[0]
    assert "\t\tscan >>= sc->priority;\n\t\tif (file && node_page_state(" in text
    assert "< totalram_pages() / 16)\n\t\t\tscan = 0;\n\n\t\tif (!scan)\n" in text
    assert text.startswith("\n\tnr_to_scan >>= sc->priority;\n\t\tscan")


def test_who_waits_for_another_to_throw_a_name_away_sleeps(tmp_path: Path) -> None:
    end_livelocks(tree(tmp_path))
    assert "break;\n\t\tschedule_timeout_uninterruptible(1);\n\t\tdata.victim" in texts(tmp_path)[1]


def test_a_file_that_is_not_as_it_was_known_stays_as_it_is(tmp_path: Path) -> None:
    other = VMSCAN.replace("\t\tscan >>=", "\t\tscan = scan >>")
    end_livelocks(tree(tmp_path, vmscan=other))
    assert texts(tmp_path)[0] == other
    assert texts(tmp_path)[1] != DCACHE
    end_livelocks(tmp_path / "nowhere")


def test_who_finds_no_memory_sleeps_before_the_next_try(tmp_path: Path) -> None:
    end_livelocks(tree(tmp_path))
    text = (tmp_path / "mm/page_alloc.c").read_text()
    assert text == "\n\tschedule_timeout_uninterruptible(1);\nout:\n"
