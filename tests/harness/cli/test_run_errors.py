"""Bad input: one clear line each, exit code 2, nothing started, nothing left behind."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from halfopen.cli import app, placement
from halfopen.results import record
from tests.harness.cli.tool import HALFOPEN, POWERLESS, called, halfopen
from tests.harness.done import missed
from tests.harness.report import made
from tests.machine import needs_labs

FREEZE = """
title = "x"
story = "x"
truth = "dead"
client = "draining"
[[step]]
at = "1s"
fault = "freeze"
[expect]
session = "reaped"
"""


def refused(*arguments: str) -> str:
    """Return the one line with which a call is refused."""
    ran = called(*arguments)
    assert (ran.code, ran.out) == (2, ""), ran
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("halfopen: ")
    return lines[0].removeprefix("halfopen: ")


def test_an_unknown_scenario() -> None:
    assert refused("run", "frozne") == ("no scenario, suite, file or folder is called 'frozne'; did you mean 'frozen'?")


@pytest.mark.parametrize("option", ["--grace", "--poll", "--hold", "--ready"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("30", "a duration needs a unit: got '30', write \"30s\""),
        ("fast", "a duration is a number and a unit: got 'fast', write for example '30s'"),
        ("3fortnights", "unknown unit 'fortnights' in '3fortnights': a duration is written in us, ms, s, min, h"),
        ("0s", "must be more than nothing: got '0s'"),
    ],
)
def test_a_bad_duration(option: str, value: str, says: str) -> None:
    assert refused("run", option, value) == f"{option}: {says}"


def test_a_bad_key_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(FREEZE.replace("[expect]", "[expect]\nsesion = 1"))
    assert refused("run", str(file)) == f"{file}: unknown key 'expect.sesion'; did you mean 'session'?"


def test_a_file_that_is_not_there() -> None:
    assert refused("run", "nowhere.toml") == "no such scenario file: nowhere.toml"


@needs_labs
def test_a_file_in_place_of_the_out_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("keep me")
    said = refused("run", "clean_close", "--out", str(file))
    assert said == f"--out '{file}': cannot be used: not a directory; name a writable folder"
    assert file.read_text() == "keep me"


def test_an_unknown_detector() -> None:
    assert refused("run", "--detector", "outq-ish").startswith("unknown detector 'outq-ish'; did you mean")


def test_a_detector_for_a_server_that_is_not_the_pod() -> None:
    assert refused("run", "--detector", "none", "--server", "x") == (
        "--detector 'none': is the pod's and has no effect on --server; leave one out"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("--reap", "reset"), ("--min-rate", "10240B/s"), ("--outage", "45s"), ("--common-outage", "90s")],
)
def test_a_detectors_option_for_a_server_that_is_not_the_pod(option: str, value: str) -> None:
    assert refused("run", option, value, "--server", "x") == (
        f"{option} {value}: is for the pod and has no effect on --server; leave one out"
    )


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--min-rate", "64", "a rate of bytes needs a unit: got '64', write \"64KiB/s\""),
        ("--min-rate", "0B/s", "must be more than nothing: got '0B/s'"),
        ("--outage", "0s", "must be more than nothing: got '0s'"),
    ],
)
def test_a_bad_value_for_a_detectors_option(option: str, value: str, says: str) -> None:
    assert refused("run", option, value) == f"{option}: {says}"


def test_a_way_to_reap_that_there_is_not() -> None:
    said = refused("run", "--reap", "politely")
    assert said.startswith("--reap: ")
    assert said.endswith("'politely' is not one of 'shutdown', 'reset'")


def test_a_session_list_without_a_server() -> None:
    assert refused("run", "--sessions", "/s").startswith("--sessions '/s' goes with --server")


@pytest.mark.parametrize("command", ["", "'unbalanced"])
def test_a_server_that_is_no_command_line(command: str) -> None:
    assert re.search("--server(:| is) ", refused("run", "--server", command))


def test_an_unknown_option_and_an_unknown_command() -> None:
    assert refused("run", "--grase", "5s").startswith("no such option: --grase")
    assert refused("walk") == "no such command 'walk'"


@pytest.mark.parametrize(("option", "value"), [("--repeat", "0"), ("--jobs", "0"), ("--seed", "x")])
def test_a_bad_number(option: str, value: str) -> None:
    assert refused("run", option, value).startswith(f"{option}: ")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("0/3", "--shard '0/3': there is no shard 0 of 3; shards are counted from 1"),
        ("4/3", "--shard '4/3': there is no shard 4 of 3; shards are counted from 1"),
        ("a", "--shard 'a': not of the form I/N; write '1/4' for the first of four"),
    ],
)
def test_a_bad_shard(value: str, says: str) -> None:
    assert refused("run", "--shard", value) == says


def test_more_shards_than_runs() -> None:
    assert refused("run", "--shard", "1/6") == ("--shard 1/6: there are only 5 runs for 6 shards; use at most 5 shards")


def test_a_baseline_that_is_not_there() -> None:
    assert refused("run", "--baseline", "nowhere.toml") == (
        "--baseline 'nowhere.toml': cannot be read: no such file or directory; name one that --write-baseline wrote"
    )


def test_a_baseline_that_cannot_be_written(tmp_path: Path) -> None:
    assert refused("run", "--write-baseline", str(tmp_path / "no" / "x.toml")).endswith(
        "x.toml': cannot be written: no such file or directory; name a file in a writable folder"
    )
    file = tmp_path / "something.toml"
    file.write_text("[tool.else]")
    assert refused("run", "--write-baseline", str(file)).startswith(f"{file}: unknown key 'tool'")
    assert file.read_text() == "[tool.else]"


@needs_labs
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "X.toml"], "cannot read scenario file X.toml: permission denied; name one that can be read"),
        (
            ["run", "X"],
            "'X' cannot be read: permission denied; name a scenario, a suite, or a file or folder that can be",
        ),
        (["run", "--target", "X.toml"], "cannot read target file X.toml: permission denied; name one that can be read"),
        (["field", "X"], "cannot read target file X: permission denied; name one that can be read"),
        (
            ["field", "--render", "X"],
            "--render 'X': cannot be read as field.json: permission denied; name one that 'halfopen field' wrote",
        ),
        (
            ["run", "--baseline", "X"],
            "--baseline 'X': cannot be read: permission denied; name one that --write-baseline wrote",
        ),
        (
            ["run", "--write-baseline", "X", "active", "--hold", "1s"],
            "--write-baseline 'X': cannot be written: permission denied; name a file in a writable folder",
        ),
        (["repro", "frozen", "--pcap", "X"], "--pcap 'X': cannot be written: permission denied; name another file"),
        (
            ["kernel", "build", "--source", "X"],
            "--source 'X': permission denied; name a kernel source tarball (.tar.xz, .tar.gz)",
        ),
    ],
)
def test_what_lies_behind_a_closed_door(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    inside = str(tmp_path / "closed" / "x")
    ran = halfopen(*(word.replace("X", inside) for word in arguments), under=POWERLESS)
    assert (ran.code, ran.out, ran.err) == (2, "", f"halfopen: {said.replace('X', inside)}\n")


def test_names_that_no_file_can_have() -> None:
    """Names longer than a file system allows (pathname(7)), which not even root can read."""
    name = "a" * 300
    assert refused("run", name).startswith(f"'{name}' cannot be read: file name too long; ")
    assert refused("field", name).startswith(f"cannot read target file {name}: file name too long; ")


def test_a_path_without_its_slash() -> None:
    assert refused("run", "--path", "ws") == (
        "--path 'ws' is no path on a server; write it with a slash in front: '/ws'"
    )


def test_an_empty_name() -> None:
    assert refused("run", "") == "a scenario's name is empty; leave it out for the default suite"


def test_the_wedge_of_a_server_that_is_not_the_pod() -> None:
    said = refused("run", "wedge", "--server", "x")
    assert said.startswith("scenario 'wedge' shows the pod's detector 'none', not a --server")


def test_two_files_of_one_name_would_write_over_each_other(tmp_path: Path) -> None:
    for folder in ("a/suite", "b/suite"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "same.toml").write_text(FREEZE)
    assert refused("run", str(tmp_path)).endswith(
        "b/suite/same.toml: both runs would be called 'same'; rename one file, or run them separately"
    )


@pytest.mark.parametrize("client", ["os.path", "..", "no.such.module"])
def test_a_module_that_is_no_client(client: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(FREEZE.replace('"draining"', f'"{client}"'))
    said = refused("run", str(tmp_path / "x.toml"))
    assert f"client {client!r}" in said or f"module {client!r} is no client" in said


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ('receive_buffer = "99999999MiB"', "receive_buffer of"),
        ('rate = "0B/s"', "rate of 0 bytes a second is out of range"),
        ('chunk = "0B"', "chunk of 0 bytes is out of range"),
    ],
)
def test_a_client_that_would_never_read(key: str, says: str, tmp_path: Path) -> None:
    client = f'[client]\nbehaviour = "trickling"\n{key}\n[[step]]'
    text = FREEZE.replace('client = "draining"\n', "").replace("[[step]]", client, 1)
    (tmp_path / "x.toml").write_text(text)
    assert says in refused("run", str(tmp_path / "x.toml"))


@pytest.mark.parametrize("rate", ["0kbit", "0.1bit", "99999999999Gbit"])
def test_a_link_that_carries_nothing_or_everything(rate: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(FREEZE.replace("[[step]]", f'[link]\nrate = "{rate}"\n[[step]]', 1))
    assert "rate" in refused("run", str(tmp_path / "x.toml"))


@pytest.mark.parametrize("hold", ["1e400*grace", "grace" + " + grace" * 20_000, "9999999h"])
def test_a_hold_that_never_ends(hold: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(FREEZE + f'hold = "{hold}"\n')
    assert "key 'expect.hold'" in refused("run", str(tmp_path / "x.toml"))


@needs_labs
def test_a_results_file_that_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    assert "cannot be used: results.json in it is a folder" in refused("run", "clean_close", "--out", str(tmp_path))


# Errors only known once namespaces are entered. A header may have been printed by then.


def refused_inside(*arguments: str, out: Path, under: Sequence[str] = ()) -> str:
    ran = halfopen("run", "clean_close", "--out", str(out), *arguments, under=under)
    assert ran.code == 2, ran
    assert len(ran.err.splitlines()) == 1, ran.err
    assert not (out / "results.json").exists()
    return ran.err.removeprefix("halfopen: ").strip()


@needs_labs
def test_a_server_that_cannot_be_started(tmp_path: Path) -> None:
    said = refused_inside("--server", "no-such-program {port}", out=tmp_path)
    assert said.startswith("cannot start the server: no such program: 'no-such-program'")


@needs_labs
def test_a_server_that_dies(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import sys; sys.exit('address already in use, says the server')")
    said = refused_inside("--server", f"{sys.executable} {script} {{port}}", out=tmp_path)
    assert said.startswith("the server ended with exit code 1 before it listened: ")
    assert said.endswith("it said: address already in use, says the server")


@needs_labs
def test_a_server_that_dies_of_an_exception_is_quoted_with_its_traceback(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("print('loading', flush=True)\n{}['DATABASE_URL']\n")
    done = halfopen("run", "alive/active", "--server", f"{sys.executable} {script} {{port}}", cwd=tmp_path)
    assert done.code == 2, done
    first, *quoted = done.err.splitlines()
    assert first.endswith("; it said: KeyError: 'DATABASE_URL'")
    # Its two streams are read apart, so their lines have no order between them.
    quoted.remove("    | loading")
    assert quoted[0] == "    | Traceback (most recent call last):"
    assert quoted[-1] == "    | KeyError: 'DATABASE_URL'"


@needs_labs
def test_a_server_that_never_listens(tmp_path: Path) -> None:
    # Not Python, which a busy machine may take seconds to start.
    said = refused_inside("--ready", "3s", "--server", "sh -c 'exec sleep 1000; {port}'", out=tmp_path)
    problem = r"the server does not listen on port \d+ after 3s, and does nothing now \(it used .*s of processor time\)"
    assert re.match(problem, said)
    assert said.endswith("; use {port} in the command, or give it more time with --ready 6s")


@needs_labs
def test_a_server_that_is_still_busy(tmp_path: Path) -> None:
    script = tmp_path / "computes.py"
    script.write_text("print('reading the model', flush=True)\nwhile True: pass")
    command = ("--ready", "3s", "--server", f"{sys.executable} {script} {{port}}")
    said = refused_inside(*command, out=tmp_path, under=["taskset", "--cpu-list", "0"])
    head = r"the server does not listen on port \d+ after 3s, and is still busy \(it used .*s of processor time, and "
    assert re.match(f"{head}the only processor is busy", said)
    assert said.endswith("more time with --ready 6s, or run fewer at once with --jobs; it said: reading the model")


@needs_labs
def test_a_server_whose_children_are_still_busy(tmp_path: Path) -> None:
    (tmp_path / "computes.py").write_text("while True: pass")
    command = f"sh -c '{sys.executable} {tmp_path}/computes.py; echo {{port}}'"
    said = refused_inside("--ready", "3s", "--server", command, out=tmp_path)
    assert re.match(r"the server does not listen on port \d+ after 3s, and is still busy \(it used ", said)


@needs_labs
def test_a_server_that_listens_elsewhere(tmp_path: Path) -> None:
    script = tmp_path / "elsewhere.py"
    script.write_text("import socket, threading; s = socket.create_server(('', 777)); threading.Event().wait()")
    said = refused_inside("--ready", "2s", "--server", f"{sys.executable} {script}", out=tmp_path)
    assert "after 2s, but on 0.0.0.0:777: " in said
    assert said.endswith("; use {port} in the command")


@needs_labs
def test_a_link_this_kernel_cannot_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(placement, "lacking_disciplines", list)
    file = tmp_path / "far.toml"
    file.write_text(FREEZE.replace("[[step]]", '[link]\ndelay = "20ms"\nloss = "1%"\n[[step]]', 1))
    code = app.call(["run", str(file), "--kernel", "host", "--out", str(tmp_path / "out")])
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert "scenario 'far' asks for delay and loss on its link, which needs sch_netem, and this kernel" in err


@needs_labs
def test_a_change_of_link_this_kernel_cannot_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(placement, "lacking_disciplines", list)
    file = tmp_path / "tunnel.toml"
    file.write_text(FREEZE.replace('fault = "freeze"', 'fault = "impair"\nloss_model = { p = "1%" }', 1))
    code = app.call(["run", str(file), "--kernel", "host", "--out", str(tmp_path / "out")])
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert "scenario 'tunnel' asks for loss_model on its link, which needs sch_netem, and this kernel" in err


@needs_labs
def test_a_server_that_may_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("no program")
    said = refused_inside("--server", f"{tmp_path}/server {{port}}", out=tmp_path / "out")
    assert said.startswith(f"cannot start the server: '{tmp_path}/server': permission denied")
    (tmp_path / "server").chmod(0o755)
    said = refused_inside("--server", f"{tmp_path}/server {{port}}", out=tmp_path / "out")
    assert "exec format error" in said


@needs_labs
def test_a_server_that_no_client_reaches(tmp_path: Path) -> None:
    script = tmp_path / "loopback.py"
    script.write_text(
        "import socket, sys, threading\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); threading.Event().wait()"
    )
    said = refused_inside("--server", f"{sys.executable} {script} {{port}}", out=tmp_path / "out")
    assert said.startswith("the server listens on 127.0.0.1:")
    assert said.endswith("use {host} in the command")


@needs_labs
def test_what_an_earlier_run_left_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    record.check_folder(tmp_path)
    record.write(tmp_path, made.HOW, [missed()], 1.0)
    (tmp_path / "mine.txt").write_text("mine")
    refused_inside("--server", "no-such-program {port}", out=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine.txt", "timelines"]


@needs_labs
def test_a_reader_that_has_seen_enough_changes_no_verdict(tmp_path: Path) -> None:
    command = shlex.join([*HALFOPEN, "run", "clean_close", "--repeat", "2", "--out", str(tmp_path)])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "results.json").exists()


@needs_labs
def test_a_server_that_puts_itself_into_the_background(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(
        "import subprocess, sys\n"
        "daemon = [sys.executable, '-c', 'import threading; threading.Event().wait()']\n"
        "subprocess.Popen(daemon, start_new_session=True)\n"
        "print('started as a daemon')\n"
    )
    said = refused_inside("--server", f"{sys.executable} {script} {{port}}", out=tmp_path / "out")
    assert said.startswith("the server's command ended and left 1 process behind before anything listened: ")
    assert said.endswith("give it the option that keeps it in the foreground; it said: started as a daemon")
