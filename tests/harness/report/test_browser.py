"""The report as its reader sees it: in a browser, by keyboard, on a phone, in the dark, without scripts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from halfopen.model.profile import Profile
from halfopen.report.page import render
from halfopen.results import record, story, words
from tests.browser import browser, opened
from tests.harness.done import SERVER, missed
from tests.harness.lines import event, flowing, held, held_between, line
from tests.harness.report import made
from tests.harness.report.test_client_tracks import STARVED
from tests.harness.report.test_client_tracks import run as several
from tests.machine import needs_browser

pytestmark = needs_browser

PHONE = ViewportSize(width=390, height=844)
TALL = ViewportSize(width=1280, height=1600)
#: Pixels that a line's own width and rounding may add.
SLACK = 1.5


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    done = [made.kept(), made.reaped(name="frozen_reaped"), missed(), made.behind_a_proxy()]
    file.write_text(made.page(done))
    return file


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("comparison") / "report.html"
    file.write_text(made.comparison_page(made.compared()))
    return file


def run(page: Page, anchor: str) -> Locator:
    return page.locator(f'details[id="{anchor}"]')


def drawn(page: Page, anchor: str) -> Locator:
    plots = run(page, anchor).locator(".plots[data-drawn]")
    expect(plots).to_be_visible()
    return plots


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def x_of(plots: Locator, seconds: float) -> float:
    left: float = plots.evaluate("(plots, t) => plots.charts[0].over.getBoundingClientRect().left"
                                 " + plots.charts[0].valToPos(t, 'x')", seconds)  # fmt: skip
    return left


def centre(mark: Locator) -> float:
    box = mark.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def test_a_link_to_a_run_opens_it_and_shows_it(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped") as one:
        assert run(one.page, "frozen_reaped").get_attribute("open") is not None
        expect(run(one.page, "frozen_reaped").locator("summary")).to_be_in_viewport()
        expect(run(one.page, "frozen_reaped").locator("summary")).to_be_focused()
        drawn(one.page, "frozen_reaped")


@pytest.mark.parametrize(("kind", "at"), [("fault", 5.0), ("onset", 5.0), ("onset + grace", 35.0), ("reaped", 36.0)])
def test_a_moment_is_marked_where_it_was_in_every_panel(chromium: Browser, report: Path, kind: str, at: float) -> None:
    with opened(chromium, report, "frozen_reaped") as one:
        plots = drawn(one.page, "frozen_reaped")
        # By the plot's own edges: from the session's start to the last sample, 60 s later.
        until = plots.evaluate("plots => plots.charts[0].scales.x.max")
        assert 59 < until <= 60
        lines = plots.locator(f'.mark-line[data-kind="{kind}"]')
        assert lines.count() == 4
        for line in lines.all():
            panel = line.locator("xpath=ancestor::*[contains(@class, 'u-over')]").bounding_box()
            assert panel is not None
            assert centre(line) == pytest.approx(panel["x"] + panel["width"] * at / until, abs=SLACK)
            assert centre(line) == pytest.approx(x_of(plots, at), abs=SLACK)


def test_a_fault_is_a_band_from_where_it_began_to_the_end(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped") as one:
        plots = drawn(one.page, "frozen_reaped")
        band = plots.locator(".mark-band").first.bounding_box()
        panel = plots.locator(".u-over").first.bounding_box()
        assert band is not None
        assert panel is not None
        assert band["x"] == pytest.approx(x_of(plots, 5.0), abs=SLACK)
        assert band["x"] + band["width"] == pytest.approx(panel["x"] + panel["width"], abs=SLACK)


def test_the_curve_itself_steps_where_the_queue_filled(chromium: Browser, report: Path) -> None:
    """By the canvas's pixels: the highest of the queue's pixels begins at the onset."""
    with opened(chromium, report, "frozen_reaped") as one:
        plots = drawn(one.page, "frozen_reaped")
        first: float = plots.evaluate("""plots => {
            const chart = plots.charts[0], canvas = chart.ctx.canvas, scale = canvas.width / chart.width;
            const row = Math.round((chart.valToPos(456, 'y') + chart.over.offsetTop) * scale);
            const left = Math.round(chart.over.offsetLeft * scale), wide = canvas.width - left;
            const pixels = chart.ctx.getImageData(left, row, wide, 1).data;
            for (let x = 0; x < wide; x++) if (pixels[4 * x + 3] > 200 && pixels[4 * x + 2] > pixels[4 * x] + 60)
                return chart.over.getBoundingClientRect().left + x / scale;
            return -1;
        }""")
        assert first == pytest.approx(x_of(plots, 5.0), abs=3 * SLACK)


def test_labels_of_moments_do_not_overlap(chromium: Browser, report: Path) -> None:
    for width in (1280, 390):
        with opened(chromium, report, "frozen_reaped", viewport={"width": width, "height": 800}) as one:
            boxes = [tag.bounding_box() for tag in drawn(one.page, "frozen_reaped").locator(".tag").all()]
            there = [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in boxes if b is not None]
            assert len(there) == 5  # fault, onset, grace, reap, deadline
            for n, (left, top, right, bottom) in enumerate(there):
                assert 0 <= left < right <= width
                for x, y, beyond, below in there[:n]:
                    assert right <= x or beyond <= left or bottom <= y + 1 or below <= top + 1


def test_a_fault_that_was_undone_ends_where_it_was(chromium: Browser, tmp_path: Path) -> None:
    cut = [event(5, "fault", "begun", step=0, fault="cut"), event(15, "fault", "undone", step=0)]
    file = tmp_path / "report.html"
    file.write_text(made.page([made.judged("outage_short", line(flowing(0, 40), cut))]))
    with opened(chromium, file, "outage_short", viewport=TALL) as one:
        plots = drawn(one.page, "outage_short")
        expect(plots.locator(".tag.band")).to_have_text("cut undone 15s")
        box = plots.locator(".mark-band").first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] == pytest.approx(x_of(plots, 15.0), abs=SLACK)


def test_a_zoom_goes_for_all_panels_and_their_marks(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped", viewport=TALL) as one:
        plots = drawn(one.page, "frozen_reaped")
        over = plots.locator(".u-over").nth(2).bounding_box()
        assert over is not None
        one.page.mouse.move(x_of(plots, 30.0), over["y"] + 20)
        one.page.mouse.down()
        one.page.mouse.move(x_of(plots, 40.0), over["y"] + 20, steps=4)
        one.page.mouse.up()
        expect(plots.locator('.mark-line[data-kind="onset"]')).to_have_count(0)
        ranges = plots.evaluate("plots => plots.charts.map(chart => [chart.scales.x.min, chart.scales.x.max])")
        assert all(found == pytest.approx([30, 40], abs=0.2) for found in ranges)
        assert centre(plots.locator('.mark-line[data-kind="reaped"]').last) == pytest.approx(x_of(plots, 36), abs=SLACK)
        plots.get_by_role("button", name="all").click()
        expect(plots.locator('.mark-line[data-kind="onset"]')).to_have_count(4)


def test_hovering_reads_all_panels_at_that_moment(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped", viewport=TALL) as one:
        plots = drawn(one.page, "frozen_reaped")
        over = plots.locator(".u-over").first.bounding_box()
        assert over is not None
        one.page.mouse.move(x_of(plots, 20.0), over["y"] + 20)
        expect(plots.locator(".panel").nth(0)).to_contain_text("456 kB")
        expect(plots.locator(".panel").nth(1)).to_contain_text("500 kB")


def read_off(plots: Locator) -> list[list[str]]:
    """Return each panel's text: the moment, and the values of its curves."""
    said = "panel => [...panel.querySelectorAll('.at, .value')].map(one => one.textContent)"
    return [panel.evaluate(said) for panel in plots.locator(".panel").all()]


def cursors(plots: Locator) -> list[float]:
    return [centre(line) for line in plots.locator(".u-cursor-x").all()]


def test_all_panels_are_read_at_one_moment_whatever_points_are_drawn(chromium: Browser, report: Path) -> None:
    """Constant values have few points: at 41.6 s none of the four panels has one."""
    then = made.reaped().timeline.between(0, 41.6).samples[-1]
    acked = then.bytes_acked or 0
    with opened(chromium, report, "frozen_reaped", viewport=TALL) as one:
        plots = drawn(one.page, "frozen_reaped")
        for nth in range(4):
            over = plots.locator(".u-over").nth(nth).bounding_box()
            assert over is not None
            one.page.mouse.move(x_of(plots, 41.6), over["y"] + 20)
            # Within a pixel: there are some twenty a second.
            expect(plots.locator(".at").nth(nth)).to_have_text(re.compile(r"at 41\.(5[5-9]|6\d)s"))
            read = read_off(plots)
            assert len({panel[0] for panel in read}) == 1, read
            assert [panel[1] for panel in read[:2]] == [f"{then.outq / 1000:,.0f} kB", f"{acked / 1000:,.0f} kB"]
            assert all(all(panel) for panel in read)
            assert all(value.is_visible() for value in plots.locator(".at, .value").all())
            one.page.mouse.move(0, 0)
            expect(plots.locator(".at").nth(nth)).to_have_text("")
            assert {"".join(panel) for panel in read_off(plots)} == {""}


def test_few_bytes_are_not_shown_as_none(chromium: Browser, tmp_path: Path) -> None:
    few = [msgspec.structs.replace(one, outq=6, bytes_acked=8000, snd_wnd=12_000_000) for one in flowing(0, 20)]
    file = tmp_path / "report.html"
    file.write_text(made.page([made.judged("active", line(few))]))
    with opened(chromium, file, "active", viewport=TALL) as one:
        plots = drawn(one.page, "active")
        heads = plots.locator(".panel-head b")
        assert heads.all_text_contents()[:3] == ["queued bytes, B", "acknowledged bytes, kB", "peer window, MB"]
        over = plots.locator(".u-over").first.bounding_box()
        assert over is not None
        one.page.mouse.move(x_of(plots, 10.0), over["y"] + 20)
        expect(plots.locator(".value").first).to_have_text("6 B")
        assert [panel[1] for panel in read_off(plots)[:3]] == ["6 B", "8 kB", "12 MB"]


def test_a_curve_has_no_value_where_it_is_over(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(made.page([made.judged("frozen", line(flowing(0, 20), event(40, "lab", "over")))]))
    with opened(chromium, file, "frozen", viewport=TALL) as one:
        plots = drawn(one.page, "frozen")
        over = plots.locator(".u-over").first.bounding_box()
        assert over is not None
        one.page.mouse.move(x_of(plots, 30.0), over["y"] + 20)
        expect(plots.locator(".value").first).to_have_text("\u2013")
        assert {value for panel in read_off(plots) for value in panel[1:]} == {"\u2013"}


def test_the_keyboard_reads_all_panels_too(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped", viewport=TALL) as one:
        plots = drawn(one.page, "frozen_reaped")
        plots.focus()
        one.page.keyboard.press("ArrowRight")
        assert len({panel[0] for panel in read_off(plots)}) == 1
        assert all(all(panel) for panel in read_off(plots))
        expect(plots.locator(".u-cursor-x.u-off")).to_have_count(0)
        before = read_off(plots)[0][0]
        one.page.keyboard.press("ArrowLeft")
        assert read_off(plots)[3][0] != before


def test_the_cursor_stays_at_its_moment_when_the_scale_changes(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen_reaped", viewport=TALL) as one:
        plots = drawn(one.page, "frozen_reaped")
        plots.focus()
        for _ in range(60):
            one.page.keyboard.press("ArrowRight")
        read = read_off(plots)
        at = float(read[0][0].removeprefix("at ").removesuffix("s"))
        for key in ("+", "+", "-", "0"):
            one.page.keyboard.press(key)
            one.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert cursors(plots) == [pytest.approx(x_of(plots, at), abs=SLACK)] * 4
            assert read_off(plots) == read


def test_a_proxys_curves_are_told_from_the_servers(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "edge_holds") as one:
        first = drawn(one.page, "edge_holds").locator(".panel").first
        expect(first).to_contain_text("queued by the server")
        expect(first).to_contain_text("queued by the proxy")


def test_runs_that_nobody_looks_at_are_not_drawn(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen") as one:
        drawn(one.page, "frozen")
        assert run(one.page, "active").locator("canvas").count() == 0
        run(one.page, "active").locator("summary").click()
        drawn(one.page, "active")


def test_the_keyboard_does_it_all(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as one:
        keys = one.page.keyboard
        keys.press("j")
        expect(run(one.page, "frozen").locator("summary")).to_be_focused()
        keys.press("n")
        keys.press("n")
        expect(run(one.page, "active").locator("summary")).to_be_focused()
        keys.press("Enter")
        plots = drawn(one.page, "active")
        plots.focus()
        keys.press("+")
        assert plots.evaluate("plots => plots.charts[3].scales.x.max - plots.charts[3].scales.x.min < 40")
        keys.press("p")
        expect(run(one.page, "edge_holds").locator("summary")).to_be_focused()
        keys.press("?")
        expect(one.page.get_by_role("dialog")).to_be_visible()
        keys.press("Escape")
        expect(one.page.get_by_role("dialog")).not_to_be_visible()
        keys.press("/")
        keys.type("edge")
        expect(run(one.page, "frozen")).not_to_be_visible()
        expect(run(one.page, "edge_holds")).to_be_visible()
        expect(one.page.get_by_role("status")).to_have_text("1 of 4 runs")
        keys.press("Escape")
        expect(run(one.page, "frozen")).to_be_visible()


def test_a_verdict_filters_rows_and_runs(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as one:
        count = one.page.get_by_role("button", name="failed")
        count.click()
        expect(count).to_have_attribute("aria-pressed", "true")
        expect(run(one.page, "active")).not_to_be_visible()
        expect(one.page.locator('tr[data-run="active"]')).not_to_be_visible()
        expect(run(one.page, "frozen")).to_be_visible()
        count.click()
        expect(run(one.page, "active")).to_be_visible()


def test_a_cell_of_the_comparison_leads_to_its_run_even_past_a_filter(chromium: Browser, comparison: Path) -> None:
    with opened(chromium, comparison) as one:
        one.page.get_by_label("filter").fill("bytes-acked")
        expect(run(one.page, "none/frozen")).not_to_be_visible()
        one.page.get_by_title("none/frozen: failed").click()
        drawn(one.page, "none/frozen")
        assert one.page.url.endswith("report.html#none/frozen")


@pytest.mark.parametrize("which", ["report", "comparison"])
def test_a_phone_shows_it_without_scrolling_sideways(
    chromium: Browser, which: str, request: pytest.FixtureRequest
) -> None:
    file: Path = request.getfixturevalue(which)
    with opened(chromium, file, viewport=PHONE) as one:
        for details in one.page.locator("details").all():
            details.evaluate("run => { run.open = true; run.scrollIntoView(); }")
            expect(details.locator(".plots[data-drawn]")).to_be_visible()
        assert not scrolls_sideways(one.page)


def test_a_phone_shows_each_verdict_at_once(chromium: Browser, report: Path) -> None:
    """Without scrolling the table sideways either."""
    with opened(chromium, report, viewport=PHONE) as one:
        boxes = [cell.bounding_box() for cell in one.page.locator(".runs .verdict, .runs th a, summary .verdict").all()]
        assert len(boxes) == 12
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_command_is_shown_whole_and_broken_between_words(chromium: Browser, tmp_path: Path, width: int) -> None:
    done = made.reaped(target=SERVER, detector=None)
    file = tmp_path / "report.html"
    file.write_text(made.page([done]))
    with opened(chromium, file, "frozen", viewport={"width": width, "height": 800}) as one:
        code = run(one.page, "frozen").locator(".again code")
        assert code.text_content() == story.again(done.job)
        boxes = [word.bounding_box() for word in code.locator("span").all()]
        heights = {round(box["height"]) for box in boxes if box}
        assert len(boxes) > 10
        assert len(heights) == 1, "no word takes two lines"
        assert all(box and box["x"] + box["width"] <= width for box in boxes)


def test_a_command_is_copied_by_its_button(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen", permissions=["clipboard-read", "clipboard-write"]) as one:
        button = run(one.page, "frozen").locator(".copy")
        button.click()
        expect(button).to_have_text("copied")
        assert one.page.evaluate("navigator.clipboard.readText()") == story.again(missed().job)


def test_where_the_clipboard_is_closed_the_command_is_selected(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen") as one:
        one.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        button = run(one.page, "frozen").locator(".copy")
        button.click()
        expect(button).to_have_text("copied")
        assert one.page.evaluate("getSelection().toString()") == story.again(missed().job)


def test_a_phone_shows_the_whole_legend(chromium: Browser, comparison: Path) -> None:
    with opened(chromium, comparison, viewport=PHONE) as one:
        boxes = [entry.bounding_box() for entry in one.page.locator(".legend div").all()]
        assert len(boxes) == sum(map(len, words.LEGEND_ENTRIES))
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)


def test_the_servers_processes_are_shown_if_they_cost_much_and_folded_if_not(chromium: Browser, tmp_path: Path) -> None:
    kept = made.kept()
    cheap = made.judged("active", held_between(kept.timeline, held(10)))
    file = tmp_path / "report.html"
    file.write_text(made.page([made.costly(), cheap]))
    with opened(chromium, file, "trickle_16k", viewport=TALL) as one:
        plots = drawn(one.page, "trickle_16k")
        expect(plots.locator(".processes summary")).to_contain_text("memory 50.0 MB to 246.0 MB, 1 process, 3 threads")
        memory = plots.locator(".processes .panel").first
        expect(memory).to_be_visible()
        over = memory.locator(".u-over").bounding_box()
        assert over is not None
        one.page.mouse.move(x_of(plots, 74.0), over["y"] + 20)
        expect(memory.locator(".value")).to_have_text("246 MB")
        run(one.page, "active").locator("summary").first.click()
        folded = drawn(one.page, "active").locator(".processes .panel").first
        expect(folded).not_to_be_visible()
        drawn(one.page, "active").locator(".processes summary").click()
        expect(folded).to_be_visible()


def test_a_servers_profile_is_in_the_head(chromium: Browser, tmp_path: Path) -> None:
    profile = Profile(observed=120, messages=9, rate=0.1, largest=5, longest_pause=60, quiet_share=1, pings_every=20)
    table = record.as_table(dataclasses.replace(made.HOW, profile=profile), [missed()], 1.0)
    file = tmp_path / "report.html"
    file.write_text(render(table, lambda _run: missed().timeline))
    with opened(chromium, file, viewport=PHONE) as one:
        expect(one.page.locator("header")).to_contain_text(f"profile: {profile}")
        expect(one.page.locator("header")).to_contain_text("pings every 20s, so --grace should be at least 40s")
        assert not scrolls_sideways(one.page)


def test_a_narrower_window_redraws_the_plots(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, "frozen") as one:
        plots = drawn(one.page, "frozen")
        before = plots.locator(".u-over").first.evaluate("over => getComputedStyle(over).width")
        one.page.set_viewport_size(PHONE)
        expect(plots.locator(".u-over").first).not_to_have_css("width", before)
        assert not scrolls_sideways(one.page)
        onset = plots.locator('.mark-line[data-kind="onset"]').first
        assert centre(onset) == pytest.approx(x_of(plots, 5.0), abs=SLACK)


def _luminance(page: Page, selector: str, what: str) -> float:
    """Return the luminance of a computed colour, by WCAG 2.1's formula."""
    text = page.locator(selector).first.evaluate("(one, what) => getComputedStyle(one)[what]", what)
    parts = [int(part) / 255 for part in text.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(chromium: Browser, comparison: Path, scheme: str) -> None:
    with opened(chromium, comparison, "none/frozen", color_scheme=scheme) as one:
        drawn(one.page, "none/frozen")
        ground = _luminance(one.page, "body", "backgroundColor")
        assert (ground < 0.5) == (scheme == "dark")
        texts = ["body", "a", ".conditions", ".verdict.failed", ".verdict.passed", ".facts", ".tag.onset", ".tag.grace"]
        pairs: list[tuple[float, ...]] = [(_luminance(one.page, text, "color"), ground) for text in texts]
        cells = (".grid a.failed", ".grid a.passed")
        pairs += [tuple(_luminance(one.page, cell, what) for what in ("color", "backgroundColor")) for cell in cells]
        for lighter, darker in (sorted(pair, reverse=True) for pair in pairs):
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG 2.1, 1.4.3 (AA)


def test_the_theme_can_be_chosen_against_the_systems(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, color_scheme="light") as one:
        one.page.keyboard.press("t")
        one.page.keyboard.press("t")
        expect(one.page.get_by_role("button", name="theme: dark")).to_be_visible()
        assert _luminance(one.page, "body", "backgroundColor") < 0.5


def test_without_scripts_every_word_can_be_read(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, java_script_enabled=False) as one:
        frozen = run(one.page, "frozen")
        expect(frozen.get_by_text("session still held 78s after the freeze began")).to_be_visible()
        expect(frozen.get_by_text("the peer's window at 0 from 5.0s")).to_be_visible()
        run(one.page, "active").locator("summary").click()
        expect(run(one.page, "active").locator(".why")).to_be_visible()
        expect(one.page.get_by_text("The curves need JavaScript")).to_be_visible()


def test_with_nothing_failed_nothing_is_open_and_nothing_is_wrong(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(made.page([made.kept()]))
    with opened(chromium, file) as one:
        expect(one.page.get_by_role("button", name="1 passed")).to_be_visible()
        assert run(one.page, "active").get_attribute("open") is None


def test_nothing_that_a_run_says_is_carried_out(chromium: Browser, tmp_path: Path) -> None:
    evil = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    file = tmp_path / "report.html"
    file.write_text(made.page([made.judged("frozen", missed().timeline, name=evil)]))
    with opened(chromium, file) as one:
        expect(one.page.locator("details")).to_have_count(1)
        assert one.page.title() == "halfopen: 1 failed"


@pytest.mark.parametrize("width", [1280, 390])
def test_tracks_of_all_clients_have_the_edges_of_the_charts_and_follow_their_zoom(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(made.page([several(bystander_2=STARVED)]))
    with opened(chromium, file, "one_frozen", viewport={"width": width, "height": 3000}) as one:
        plots = drawn(one.page, "one_frozen")
        assert not scrolls_sideways(one.page)
        over = plots.locator(".u-over").first.bounding_box()
        assert over is not None
        images = run(one.page, "one_frozen").locator(".track svg")
        assert images.count() == 5
        for image in images.all():
            box = image.bounding_box()
            assert box is not None
            assert (box["x"], box["width"]) == pytest.approx((over["x"], over["width"]), abs=SLACK)
        silence = images.nth(2).locator(".silence").bounding_box()
        assert silence is not None
        assert silence["x"] == pytest.approx(x_of(plots, 9.0), abs=SLACK)
        assert silence["x"] + silence["width"] == pytest.approx(x_of(plots, 40.0), abs=SLACK)
        plots.get_by_role("button", name="fault").click()
        expect(images.first).to_have_attribute("viewBox", "3 0 4 100")
        for bounds in one.page.locator(".clients tr td, .clients tr th[scope=row]").all():
            place = bounds.bounding_box()
            assert place is None or place["x"] + place["width"] <= width
