from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.model.expressions import Expression
from halfopen.netns.impairment import GilbertElliott, Impairment
from halfopen.netns.units import Duration, Share, Size
from halfopen.scenario.scenario_file import load, parse
from halfopen.scenario.spec import PodSpec

GOOD = """
title = "A title"
story = "A story."
truth = "dead"

[client]
behaviour = "trickling"
rate = "8KiB/s"

[link]
rate = "1Mbit"
to_server = { rate = "64kbit" }

[[step]]
at = "grace / 2"
fault = "freeze"
for = "10s"

[expect]
session = "reaped"
reason = "send_stall"
within = "grace + poll + 1s"
"""


def parsed(text: str = GOOD) -> object:
    return parse(text, name="x", suite="y", where="x.toml")


def test_a_scenario_says_who_does_what_when_and_what_must_come_of_it() -> None:
    scenario = parse(GOOD, name="x", suite="y", where="x.toml")

    assert scenario.client.behaviour == "trickling"
    assert scenario.client.options == {"rate": "8KiB/s"}
    assert scenario.link.to_client.rate == 1e6
    assert scenario.link.to_server.rate == 64e3
    assert [(step.fault, step.at, step.lasting) for step in scenario.steps] == [("freeze", "grace / 2", "10s")]
    assert scenario.expect.hold == "2.6 * grace"


def test_what_is_asked_of_the_pod_may_be_written_in_grace_and_is_asked_of_no_other_server() -> None:
    text = GOOD.replace("[expect]", '[pod]\nslice_size = "100B"\nquiet_after = "4s"\nquiet_for = "2 * grace"\n[expect]')
    scenario = parse(text, name="x", suite="y", where="x.toml")
    assert scenario.pod == PodSpec(
        slice_size=Size(100), quiet_after=Expression("4s"), quiet_for=Expression("2 * grace")
    )
    assert scenario.needs_pod
    paced = GOOD.replace("[expect]", '[pod]\nslice_size = "16KiB"\n[expect]')
    assert not parse(paced, name="x", suite="y", where="x.toml").needs_pod
    assert parse(paced.replace("[pod]", "[pod]\nrequired = true"), name="x", suite="y", where="x.toml").needs_pod
    assert not parse(GOOD, name="x", suite="y", where="x.toml").needs_pod


def test_a_link_is_written_by_the_names_of_tc_netem() -> None:
    table = """
delay = "20ms"
jitter = "5ms"
distribution = "paretonormal"
loss_model = { p = "1%", r = "25%", 1-h = "50%", 1-k = "0.1%" }
duplicate = "1%"
reorder = "25%"
reorder_correlation = "50%"
gap = 5
corrupt = "0.1%"
limit = 100
seed = 7
to_server = { delay = "30ms" }
"""
    text = GOOD.replace('rate = "1Mbit"\nto_server = { rate = "64kbit" }\n', table)
    link = parse(text, name="x", suite="y", where="x.toml").link
    assert link.to_client == Impairment(
        delay=Duration(0.02),
        jitter=Duration(0.005),
        distribution="paretonormal",
        loss_model=GilbertElliott(p=Share(0.01), r=Share(0.25), lost_in_bad=Share(0.5), lost_in_good=Share(0.001)),
        duplicate=Share(0.01),
        reorder=Share(0.25),
        reorder_correlation=Share(0.5),
        gap=5,
        corrupt=Share(0.001),
        limit=100,
        seed=7,
    )
    assert link.to_server == msgspec.structs.replace(link.to_client, delay=Duration(0.03))


def test_what_a_step_asks_of_the_link_counts_too() -> None:
    text = GOOD.replace('"freeze"', '"impair"\nloss = "10%"\nto_client = { delay = "1s" }')
    scenario = parse(text, name="x", suite="y", where="x.toml")
    [step] = scenario.steps
    assert (step.options.to_client.delay, step.options.to_client.loss) == (1, 0.1)
    assert (step.options.to_server.delay, step.options.to_server.loss) == (0, 0.1)
    assert scenario.netem_fields == ["delay", "loss"]


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('title = "A title"', 'titel = "A title"', "x.toml: unknown key 'titel'; did you mean 'title'?"),
        ('truth = "dead"', 'truth = "ded"', "x.toml: key 'truth' does not know 'ded'; did you mean 'dead'?"),
        ('truth = "dead"', "", "x.toml: key 'truth' is missing"),
        ('title = "A title"', "title = 7", "x.toml: key 'title' takes text in quotes, got 7"),
        ('behaviour = "trickling"', "", "x.toml: key 'client.behaviour' is missing"),
        ('"trickling"', '"trickle"', "x.toml: unknown client 'trickle'; did you mean 'trickling'?"),
        ('rate = "8KiB/s"', "rate = 8", "x.toml: client: key 'rate': a rate of bytes needs a unit: got 8"),
        (
            'rate = "8KiB/s"',
            'receive_buffer = "64KiB"\nautotune_to = "6MiB"',
            "x.toml: keys 'client.receive_buffer' and 'client.autotune_to' exclude each other",
        ),
        ('rate = "8KiB/s"', 'autotune_to = "64KiB"', "x.toml: client: autotune_to of 65536 bytes is out of range"),
        ('rate = "8KiB/s"', 'speed = "8KiB/s"', "x.toml: client: unknown key 'speed'"),
        ('rate = "1Mbit"', 'rate = "1"', "x.toml: link: key 'rate': a link's rate needs a unit: got '1'"),
        ('rate = "1Mbit"', 'delay = "20"', "x.toml: link: key 'delay': a duration needs a unit: got '20'"),
        ('rate = "1Mbit"', 'jitter = "5ms"', "x.toml: link: jitter of 5ms needs a delay to vary"),
        ('rate = "1Mbit"', 'queue = "1s"', "x.toml: link: a queue of 1s needs a rate to wait for"),
        ('rate = "1Mbit"', 'loss = "120%"', "x.toml: link: key 'loss': a share is at most 100%: got '120%'"),
        ('{ rate = "64kbit" }', '"64kbit"', "x.toml: link: key 'to_server' takes a table, got '64kbit'"),
        (
            'rate = "1Mbit"',
            'rate = "0bit"',
            "x.toml: link: key 'rate' is nothing; leave it out for a link",
        ),
        (
            'rate = "1Mbit"',
            "limit = 0",
            "x.toml: link: key 'limit' is 0 packets, which lets nothing through; leave it out",
        ),
        ('rate = "1Mbit"', "limit = -1", "x.toml: link: a limit of -1 packets is out of range: from 1 to 4294967295"),
        ('rate = "1Mbit"', 'limit = "10"', "x.toml: link: key 'limit' takes a whole number, got '10'"),
        ('rate = "1Mbit"', 'seed = "x"', "x.toml: link: key 'seed' takes a whole number, got 'x'"),
        ('rate = "1Mbit"', "seed = -1", "x.toml: link: a seed of -1 is out of range: from 0 to 18446744073709551615"),
        (
            'rate = "1Mbit"',
            'delay = "1s"\njitter = "1ms"\ndistribution = "norml"',
            "x.toml: link: key 'distribution' does not know 'norml'; did you mean 'normal'?",
        ),
        (
            'rate = "1Mbit"',
            'delay = "1s"\ndistribution = "normal"',
            "x.toml: link: distribution 'normal' needs a jitter to spread",
        ),
        ('rate = "1Mbit"', 'delay = "1s"\njitter = "3s"', "x.toml: link: jitter of 3s is more than the kernel can do"),
        ('rate = "1Mbit"', "loss_model = 5", "x.toml: link: key 'loss_model' takes a table, got 5"),
        ('rate = "1Mbit"', "loss_model = {}", "x.toml: link: key 'loss_model.p' is missing"),
        (
            'rate = "1Mbit"',
            'loss_model = { p = "1%", h = "5%" }',
            "x.toml: link: unknown key 'loss_model.h'; known are 1-h, 1-k, p, r",
        ),
        (
            'rate = "1Mbit"',
            "loss_model = { p = 1 }",
            "x.toml: link: key 'loss_model.p': a share needs a unit: got 1, write \"1%\"",
        ),
        (
            'rate = "1Mbit"',
            'loss = "1%"\nloss_model = { p = "1%" }',
            "x.toml: link: loss of 1% and a loss_model exclude each other: leave one out",
        ),
        ('rate = "1Mbit"', "gap = 5", "x.toml: link: a gap of 5 needs a reorder to space out"),
        ('rate = "1Mbit"', 'loss_correlation = "9%"', "x.toml: link: loss_correlation of 9% needs a loss to apply to"),
        ('"freeze"', '"impair"\nloss = "1"', "x.toml: step 1: key 'loss': a share needs a unit: got '1', write \"1%\""),
        ('"freeze"', '"impair"\nlos = "1%"', "x.toml: step 1: unknown key 'los'; did you mean 'loss'?"),
        ('"freeze"', '"impair"\nto_client = 1', "x.toml: step 1: key 'to_client' takes a table, got 1"),
        ('at = "grace / 2"', "at = 5", "x.toml: step 1: key 'at': a duration needs a unit: got 5, write \"5s\""),
        ('at = "grace / 2"', "", "x.toml: step 1: key 'at' is missing"),
        ('"freeze"', '"freez"', "x.toml: step 1: unknown fault 'freez'; did you mean 'freeze'?"),
        ('for = "10s"', 'depth = "10s"', "x.toml: step 1: unknown key 'depth'"),
        ('"reaped"', '"kept"', "x.toml: key 'expect.within' is 'grace + poll + 1s', but a session that is to be kept"),
        ("within", "wihtin", "x.toml: unknown key 'expect.wihtin'; did you mean 'within'?"),
        ("+ 1s", "+ 1", "x.toml: key 'expect.within': a bare number cannot be added to a duration"),
        ("[expect]", "[expect", "x.toml: not TOML: "),
        (
            "[expect]",
            '[edge]\nproxy = "ngnix"\n[expect]',
            "x.toml: key 'edge.proxy': unknown proxy 'ngnix'; did you mean",
        ),
        (
            "[expect]",
            '[edge]\nproxy = "nginx"\n[pod]\ntls = true\n[expect]',
            "x.toml: keys 'edge' and 'pod.tls' exclude each other",
        ),
        ("[expect]", "[pod]\nslice = 1\n[expect]", "x.toml: unknown key 'pod.slice'; did you mean 'slice_size'?"),
        ("[expect]", "[pod]\nslice_size = 1\n[expect]", "x.toml: key 'pod.slice_size': a size needs a unit: got 1"),
        (
            "[expect]",
            '[pod]\nslice_interval = "0s"\n[expect]',
            "x.toml: key 'pod': slice_interval of 0s is out of range",
        ),
        (
            "[expect]",
            '[pod]\nquiet_for = "grace"\n[expect]',
            "x.toml: key 'pod': quiet_for of 'grace' needs a quiet_after",
        ),
        (
            "[expect]",
            '[pod]\nquiet_after = "4"\n[expect]',
            "x.toml: key 'pod.quiet_after': a duration needs a unit: got '4'",
        ),
    ],
)
def test_every_mistake_in_a_file_is_told_in_one_line(change: str, to: str, says: str) -> None:
    assert change in GOOD
    with pytest.raises(InputError) as caught:
        parsed(GOOD.replace(change, to, 1))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such scenario file: .*nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_a_folder_is_no_scenario_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read scenario file"):
        load(tmp_path)
