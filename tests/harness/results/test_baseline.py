"""Known failures pass, new ones fail, fixed ones are pointed out, and nothing inconclusive is covered by accident."""

from __future__ import annotations

import tomllib
from pathlib import Path

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.errors import InputError
from halfopen.results import baseline, record, story
from halfopen.results.baseline import Baseline, Known, parse, read, render, renewed, standing
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import Class
from tests.harness.done import done

MISSED = parse('[known]\n"dead/frozen" = { verdict = "failed", class = "missed", why = "ticket 123" }', "expected.toml")
STRICT = parse('strict = true\n[known."dead/frozen"]\nverdict = "failed"\nclass = "missed"', "expected.toml")


def how(known: Baseline | None) -> record.Conditions:
    return record.conditions(RunRequest(seed=1, grace=30, poll=2), [done("passed").job], "real", known)


def test_a_failure_that_is_known_passes() -> None:
    assert standing(done("failed"), MISSED) == "known"
    assert record.exit_code([done("failed"), done("passed", "dead/killed")], MISSED) == 0


@pytest.mark.parametrize(
    "news",
    [
        done("failed", "dead/killed"),
        done("failed", "pod_5090/frozen"),
        done("failed", klass="true_reap"),
        done("failed", was=False),
    ],
    ids=["another scenario", "one of that name in another suite", "another class", "no session"],
)
def test_a_failure_that_is_not_known_or_is_another_fails(news: RunResult) -> None:
    assert standing(news, MISSED) == "failed"
    assert record.exit_code([done("failed"), news], MISSED) == 1


def test_what_is_inconclusive_is_not_covered_by_a_failure_that_is_known() -> None:
    assert record.exit_code([done("inconclusive")], MISSED) == 3


def test_what_is_inconclusive_is_covered_if_the_file_says_so_and_then_a_failure_is_not() -> None:
    known = parse('[known]\n"dead/frozen" = { verdict = "inconclusive" }', "expected.toml")
    assert record.exit_code([done("inconclusive")], known) == 0
    assert record.exit_code([done("failed")], known) == 1


def test_a_client_that_gets_no_session_is_of_no_class() -> None:
    known = parse('[known]\n"dead/frozen" = { verdict = "failed", class = "none" }', "expected.toml")
    assert record.exit_code([done("failed", was=False)], known) == 0
    assert record.exit_code([done("failed")], known) == 1


def test_what_is_fixed_is_told_and_fails_only_if_the_file_is_strict() -> None:
    assert MISSED.fixed([done("passed")]) == ["dead/frozen"]
    assert record.exit_code([done("passed")], MISSED) == 0
    assert record.exit_code([done("passed")], STRICT) == 1


def test_what_fails_at_times_is_not_fixed() -> None:
    assert MISSED.fixed([done("passed"), done("failed", repeat=2)]) == []
    assert MISSED.fixed([done("passed"), done("inconclusive", repeat=2)]) == []


def test_a_scenario_that_was_not_run_is_not_stale() -> None:
    assert not STRICT.is_stale([done("passed", "dead/killed")])


def test_a_scenario_that_there_is_not_is_pointed_out_unless_its_suite_is_not_ours() -> None:
    text = '[known]\n"{}/frozne" = {{ verdict = "failed", class = "missed" }}'
    assert parse(text.format("dead"), "x").strays == (
        "no scenario is called 'dead/frozne'; did you mean 'dead/frozen'?",
    )
    assert parse(text.format("theirs"), "x").strays == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("known = ", "not valid TOML"),
        ("[knwon]", "unknown key 'knwon'; did you mean 'known'?"),
        ('strict = "yes"', "key 'strict' takes true or false, got 'yes'"),
        ('[known]\nfrozen = { verdict = "failed", class = "missed" }', "key 'known.frozen': not a suite and"),
        ('[known]\n"a/b" = { class = "missed" }', "key 'known.a/b': key 'verdict' is missing"),
        ('[known]\n"a/b" = { verdict = "passed" }', "key 'verdict' does not know 'passed'"),
        ('[known]\n"a/b" = { verdict = "failed" }', "key 'known.a/b': a failure needs its class"),
        ('[known]\n"a/b" = { verdict = "failed", class = "mist" }', "does not know 'mist'; did you mean 'missed'"),
        ('[known]\n"a/b" = { verdict = "inconclusive", class = "missed" }', "an inconclusive run has no class"),
        ('[known]\n"a/b" = { verdict = "failed", class = "missed", reason = "" }', "unknown key 'reason'"),
        ('[known]\n"a/b" = 3', "key 'known.a/b': "),
    ],
)  # fmt: skip
def test_a_file_with_anything_wrong_in_it_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "expected.toml")
    assert str(caught.value).startswith("expected.toml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or directory"):
        read(tmp_path / "nowhere.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="is no text in UTF-8"):
        read(tmp_path / "bytes.toml")


def test_a_baseline_written_of_a_call_knows_its_failures_and_nothing_that_is_inconclusive() -> None:
    runs = [done("failed", why="held\nfor ever"), done("inconclusive", "dead/killed"), done("passed", "dead/slept")]
    text = render(renewed(None, runs), runs)
    assert text.splitlines()[-3:] == [
        "[known]",
        "# held for ever",
        '"dead/frozen" = { verdict = "failed", class = "missed", why = "" }',
    ]
    assert record.exit_code(runs, parse(text, "x")) == 3
    assert record.exit_code([runs[0], runs[2]], parse(text, "x")) == 0


def test_a_baseline_brought_up_to_date_keeps_reasons_and_what_was_not_run_and_drops_what_is_fixed() -> None:
    known = {name: Known("failed", "missed", f"why {name}") for name in ("dead/frozen", "dead/killed", "dead/slept")}
    before = Baseline(known, strict=True)
    after = renewed(before, [done("failed", klass="true_reap"), done("passed", "dead/killed")])
    assert after.known == {
        "dead/frozen": Known("failed", "true_reap", "why dead/frozen"),
        "dead/slept": known["dead/slept"],
    }
    assert parse(render(after, []), "x").strict


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1)


@given(_NAMES, _NAMES, st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_what_is_written_is_read_again(suite: str, name: str, why: str, strict: bool) -> None:
    made = Baseline({f"{suite}/{name}": Known("failed", "missed", why)}, strict)
    again = parse(render(made, []), "x")
    assert (again.known, again.strict) == (made.known, strict)
    assert tomllib.loads(render(made, []))


def test_results_say_of_each_run_whether_it_is_known_and_only_where_that_was_asked() -> None:
    runs = [done("failed"), done("failed", "dead/killed")]
    assert [run["known"] for run in record.as_table(how(MISSED), runs, 1.0)["runs"]] == [True, False]
    assert "known" not in record.as_table(how(None), runs, 1.0)["runs"][0]


def test_junit_skips_what_is_known_with_its_reason_and_keeps_the_evidence() -> None:
    xml = record.junit(how(MISSED), [done("failed"), done("failed", "dead/killed")], 9.0)
    assert (xml.tests, xml.failures, xml.skipped) == (2, 1, 1)
    case = next(iter(next(iter(xml))))
    assert isinstance(case, junitparser.TestCase)
    assert case.result[0].message == "known failure (missed, ticket 123)"
    assert case.system_out == "because it failed"


def test_the_end_of_a_call_says_what_is_known_fixed_and_unknown() -> None:
    known = baseline.Baseline(
        MISSED.known | {"dead/killed": Known("failed", "missed")}, file="expected.toml", strays=("no such thing",)
    )
    runs = [done("failed"), done("passed", "dead/killed"), done("failed", "dead/slept")]
    assert story.remarks(runs, known) == [
        "known:   frozen (missed, ticket 123): because it failed",
        "fixed:   dead/killed (missed) passed",
        "unknown: no such thing",
        "remove fixed and unknown lines from expected.toml",
    ]
    assert story.summary(runs, 9.0, known) == "1 passed, 1 failed, 1 known failure in 9s"


@pytest.mark.parametrize(("klass", "was", "now"), [("true_reap", True, "true_reap"), ("missed", False, "none")])
def test_a_failure_that_was_known_as_another_says_so(klass: Class, was: bool, now: str) -> None:
    told = story.story(done("failed", klass=klass, was=was), baseline=MISSED)
    assert f"    the known failure is another (missed, ticket 123); this one is {now}" in told
