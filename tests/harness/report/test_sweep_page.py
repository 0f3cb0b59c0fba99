"""The report of a sweep: its contents, and that it can be made again from grace.json alone."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from halfopen.errors import InputError
from halfopen.grace import files
from halfopen.report import folder, sweep_page
from tests.browser import browser, opened
from tests.harness.grace.made import HOW, table
from tests.machine import needs_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def out(tmp_path: Path) -> Path:
    files.write(tmp_path, table("bytes-acked", "outq"))
    return tmp_path


def test_the_recommendation_comes_first_with_its_reason() -> None:
    page = sweep_page.render(table("bytes-acked"))
    assert page.index("No recommendation") < page.index("too little is known") < page.index("False reaps against")


def test_what_is_recommended_is_marked_in_its_table() -> None:
    given = table("bytes-acked") | {
        "recommended_grace_s": 30.0,
        "recommended_poll_s": 2.0,
        "recommended_detector": "bytes-acked",
        "recommended_why": "it is",
    }
    page = sweep_page.render(given)
    assert "Recommended: bytes-acked grace 30s poll 2s" in page
    assert len(re.findall(r'<tr class="chosen"><th scope="row">30s', page)) == 1


def test_a_replay_that_is_wrong_is_the_first_thing_seen() -> None:
    confirmations = {"runs": 2, "agree": 1, "apart_max_s": 0.01, "disagreements": ["0001-frozen: <reaped>"]}
    page = sweep_page.render(table("bytes-acked") | {"confirmations": confirmations})
    assert '<section class="advice failed"' in page
    assert "1 of 2 real runs agree with their replay, reaps at most 10ms apart" in page
    assert "0001-frozen: &lt;reaped&gt;" in page


def test_no_name_ends_the_data() -> None:
    given = table("bytes-acked")
    evil = [{**point, "detector": "</script><script>alert(1)</script>"} for point in given["points"]]
    assert "<script>alert" not in sweep_page.render(given | {"points": evil})


def test_a_sweep_that_was_stopped_says_so() -> None:
    assert "65 of 1,509 sessions so far" in sweep_page.render(table("bytes-acked", None, known=65))


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((13, 14, 120), "13s, not 14s"),
        ((None, 1, 120), "none, not 1s"),
        ((120, None, 120), "all to 120s"),
        ((None, None, None), ""),
    ],
)
def test_what_is_survived(numbers: tuple[float | None, float | None, float | None], shown: str) -> None:
    assert sweep_page.limits(*numbers) == shown


def test_it_is_made_again_of_the_file_alone(out: Path) -> None:
    folder.write_sweep(out, table("bytes-acked", "outq"))
    first = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert folder.write_again(out).read_bytes() == first


def test_a_file_that_is_no_sweeps_is_one_line(out: Path) -> None:
    (out / "grace.json").write_text('{"points": []}')
    with pytest.raises(InputError, match=r"grace\.json': the key '.*' is missing"):
        folder.write_again(out)


def test_a_recommendation_of_what_was_not_tried_is_one_line(out: Path) -> None:
    files.write(out, table("bytes-acked") | {"recommended_grace_s": 31.0})
    with pytest.raises(InputError, match=r"grace\.json': not valid: the recommended candidate"):
        folder.write_again(out)


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("known", [0, 65, 10_000])
def test_its_charts_are_drawn_without_a_complaint(chromium: Browser, tmp_path: Path, width: int, known: int) -> None:
    files.write(tmp_path, table("bytes-acked", "outq", known=known))
    size = ViewportSize(width=width, height=844)
    with opened(chromium, folder.write_again(tmp_path), viewport=size) as one:
        # A staircase without results has nothing to draw.
        expect(one.page.locator(".chart[data-drawn]")).to_have_count(4 if known > 65 else 2)
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if known > 65:
            assert one.page.locator(".chart canvas").count() == 4


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_labels_in_a_chart_do_not_overlap(chromium: Browser, tmp_path: Path, width: int) -> None:
    files.write(tmp_path, table("bytes-acked"))
    with opened(chromium, folder.write_again(tmp_path), viewport={"width": width, "height": 844}) as one:
        for chart in (":frontier", ":stalls", ":latency"):
            labels = one.page.evaluate(f"document.getElementById('{chart}').chart.written")
            assert len(labels) >= 2
            for n, ((left, right), y) in enumerate(labels):
                for (begins, ends), other in labels[:n]:
                    assert abs(y - other) >= 11 or right <= begins or ends <= left


@needs_browser
def test_a_legend_names_what_is_drawn_and_reads_it_at_the_cursor(chromium: Browser, out: Path) -> None:
    with opened(chromium, folder.write_again(out)) as one:
        legend = one.page.locator('[id=":latency"] .u-legend')
        after = "row => getComputedStyle(row.querySelector('th'), '::after').content"
        assert {row.evaluate(after) for row in legend.locator(".u-series").all()} == {"none"}
        first = legend.locator(".u-series").first
        expect(first).to_be_hidden()
        over = one.page.locator('[id=":latency"] .u-over')
        over.scroll_into_view_if_needed()
        over.hover()
        expect(first).to_be_visible()
        expect(first.locator(".u-value")).to_have_text(re.compile(r"\d+\.\d\ds"))


@needs_browser
def test_another_round_trip_has_its_own_lanes(chromium: Browser, out: Path) -> None:
    with opened(chromium, folder.write_again(out)) as one:
        lanes = "() => document.getElementById(':outages').chart.data"
        near = one.page.evaluate(lanes)
        one.page.get_by_role("button", name="round trip 300ms").click()
        expect(one.page.get_by_role("button", name="round trip 300ms")).to_have_attribute("aria-pressed", "true")
        assert one.page.evaluate(lanes) != near


@needs_browser
@pytest.mark.parametrize("name", [":frontier", ":stalls", ":outages", ":latency"])
def test_a_chart_shows_what_it_was_zoomed_to(chromium: Browser, out: Path, name: str) -> None:
    with opened(chromium, folder.write_again(out)) as one:
        chart = one.page.locator(f'[id="{name}"]')
        scale = "place => [place.chart.scales.x.min, place.chart.scales.x.max]"
        whole = chart.evaluate(scale)
        over = chart.locator(".u-over")
        over.scroll_into_view_if_needed()
        box = over.bounding_box()
        assert box
        one.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        one.page.mouse.down()
        one.page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + 20, steps=4)
        one.page.mouse.up()
        assert chart.evaluate(scale) == pytest.approx([whole[1] / 2, whole[1] * 3 / 4], rel=0.02)
        over.dblclick(position={"x": 9, "y": 9})
        assert whole[0] == 0
        assert chart.evaluate(scale) == whole


@needs_browser
def test_its_theme_is_the_one_that_was_chosen_last(chromium: Browser, out: Path) -> None:
    with opened(chromium, folder.write_again(out), color_scheme="light") as one:
        ground = "getComputedStyle(document.body).backgroundColor"
        light = one.page.evaluate(ground)
        one.page.get_by_role("button", name="theme: system").click()
        one.page.get_by_role("button", name="theme: light").click()
        assert one.page.evaluate(ground) != light
        one.requests.clear()
        one.page.reload()
        expect(one.page.get_by_role("button", name="theme: dark")).to_be_visible()


@needs_browser
@pytest.mark.parametrize(("name", "what"), [(":outages", ""), (":latency", "grace ")])
def test_every_detector_poll_and_grace_is_told_apart(chromium: Browser, tmp_path: Path, name: str, what: str) -> None:
    files.write(tmp_path, table("bytes-acked", "outq", polls=(1.0, 5.0)))
    with opened(chromium, folder.write_again(tmp_path)) as one:
        labels = one.page.locator(f'[id="{name}"]').evaluate("place => place.chart.series.slice(1).map((s) => s.label)")
        names = [f"{detector}, poll {poll}" for poll in ("1s", "5s") for detector in ("bytes-acked", "outq")]
        assert sorted(labels) == sorted(f"{what}{grace} {named}" for grace in ("5s", "30s") for named in names)


@needs_browser
def test_a_name_has_the_room_that_it_takes(chromium: Browser, out: Path) -> None:
    gutter = "document.getElementById(':outages').chart.over.offsetLeft"
    lengths = []
    for detector in ("outq", "tests.planted.reap_always"):
        files.write(out, table(detector, polls=(1.0, 5.0)))
        with opened(chromium, folder.write_again(out)) as one:
            lengths.append(one.page.evaluate(gutter))
    assert lengths[1] > lengths[0]


@needs_browser
def test_without_scripts_every_number_is_there(chromium: Browser, out: Path) -> None:
    with opened(chromium, folder.write_again(out), java_script_enabled=False) as one:
        expect(one.page.get_by_text("The tables have all numbers")).to_be_visible()
        expect(one.page.get_by_role("heading", name="outq, poll 2s")).to_be_visible()
        expect(one.page.locator(".chart").first).to_be_hidden()


@needs_browser
@pytest.mark.parametrize("chart", ["frontier", "stalls", "outages-round-trip-100ms", "latency"])
def test_a_chart_can_be_saved_as_a_picture(chromium: Browser, out: Path, chart: str) -> None:
    with opened(chromium, folder.write_again(out)) as one:
        one.page.get_by_role("button", name="round trip 100ms").click()
        place = one.page.locator(f'[id=":{chart.partition("-")[0]}"]')
        with one.page.expect_download() as saved:
            place.locator("+ .save").click()
        assert saved.value.suggested_filename == f"grace-{HOW.mix}-{chart}.png"
        saved.value.save_as(file := out / "chart.png")
        signature, _, rest = file.read_bytes().partition(b"IHDR")
        assert signature.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", rest[:8])
        canvas = place.locator("canvas")
        assert width > canvas.evaluate("drawn => drawn.width")
        assert height > canvas.evaluate("drawn => drawn.height")
        # An empty picture of this size takes less than 5 kB.
        assert file.stat().st_size > 10_000
