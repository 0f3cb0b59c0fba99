"""The server under test as a user describes it: accepted, refused, turned back into options, and found in folders."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from halfopen.cli.options import ScenarioOptions, ServerOptions
from halfopen.errors import InputError
from halfopen.netns.units import Duration
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec
from tests.servers import EXAMPLES

FILE = """
[target]
server = "serve --on {host}:{port}"
path = "/ws"
headers = { Origin = "https://example.org" }
send = ["hello"]
replies = { ping = "pong" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "server.toml"
    path.write_text(FILE)
    return path


def test_a_file_says_all_there_is_to_say(file: Path) -> None:
    spec = target_spec.load(file)
    assert (spec.server, spec.path, spec.send) == ("serve --on {host}:{port}", "/ws", ("hello",))
    assert (spec.headers, spec.replies) == ({"Origin": "https://example.org"}, {"ping": "pong"})


def test_its_command_runs_beside_it_and_it_is_called_by_its_folder_and_name(file: Path) -> None:
    spec = target_spec.load(file)
    assert (spec.folder, spec.name) == (str(file.parent), "mine/server")


def test_an_option_wins_over_the_file_and_headers_are_added_to(file: Path) -> None:
    spec = ServerOptions(target=file, header=["Cookie: a=b: c"], path="/other", send=["bye"]).spec()
    assert (spec.path, spec.send, spec.tls) == ("/other", ("bye",), False)
    assert spec.headers == {"Origin": "https://example.org", "Cookie": "a=b: c"}


def test_what_is_said_again_describes_the_same(file: Path) -> None:
    spec = ServerOptions(target=file, path="/other", subprotocol=["a", "b"]).spec()
    assert spec.arguments() == ["--target", str(file), "--path", "/other", "--subprotocol", "a", "--subprotocol", "b"]
    again = ServerOptions(target=file, path="/other", subprotocol=["a", "b"]).spec()
    assert again == spec


def test_without_a_file_every_option_is_said_again() -> None:
    spec = TargetSpec(
        server="serve {cert} {key}",
        headers={"A": "b"},
        send=("x", "y"),
        sessions="/s",
        sessions_pointer="/a",
        sessions_field="peer",
        tls=True,
    )
    assert spec.arguments() == [
        *("--server", "serve {cert} {key}"),
        *("--header", "A: b"),
        *("--send", "x", "--send", "y"),
        *("--sessions", "/s", "--sessions-pointer", "/a", "--sessions-field", "peer"),
        "--tls",
    ]


def test_it_survives_the_way_into_a_guest(file: Path) -> None:
    spec = ServerOptions(target=file, header=["A: b"], server="x {port}").spec()
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TargetSpec) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server = 'x'", "unknown key 'server'; it goes under [target]"),
        ("[target]\nserver = 'x'\npaths = '/'", "unknown key 'target.paths'; did you mean 'path'"),
        ("[target]\nserver = 7", "key 'target.server' takes text in quotes, got 7"),
        ("[target]\nserver = 'x'\nsend = 'hello'", "key 'target.send' takes a list, got 'hello'"),
        ("[target]\nserver = 'x'\nfile = 'y'", "unknown key 'target.file'"),
        ("[target]\npath = '/x'", "key 'target.server' is missing"),
        ("[target]\npod = { api = 'threads' }", "key 'target.pod.api'"),
        ("server = 'x'", "unknown key 'server'"),
        ("[target", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_and_the_value(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        target_spec.load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


def test_a_file_may_name_the_pod_and_no_other_server_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "pod.toml"
    path.write_text("[target]\npod = { api = 'asyncio' }\n")
    spec = target_spec.load(path)
    spec.check()
    assert (spec.is_pod, spec.arguments()) == (True, ["--target", str(path)])
    assert ServerOptions(target=path, server="x {port}").spec().pod is None
    path.write_text("[target]\nserver = 'x {port}'\npod = { api = 'asyncio' }\n")
    with pytest.raises(InputError, match=r"key 'target.pod' is the built-in server's, and there is a --server"):
        target_spec.load(path).check()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such target file: "):
        target_spec.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (TargetSpec(server="x", path="ws"), "--path 'ws' is no path on a server"),
        (TargetSpec(server="x", sessions="api"), "--sessions 'api' is no path on a server"),
        (TargetSpec(server="x", sessions_field="a"), "--sessions-pointer and --sessions-field go with --sessions"),
        (TargetSpec(server="x", sessions="/a", sessions_pointer="b"), "--sessions-pointer 'b' is no JSON Pointer"),
        (TargetSpec(server="x {cert}", tls=True), "--tls: the command is told its certificate by {cert} and {key}"),
        (TargetSpec(server="x {cert} {key}", tls=True, edge="nginx"), "--tls and --edge exclude each other"),
        (TargetSpec(server="x", edge="apache"), "unknown proxy 'apache'"),
        (TargetSpec(server="x", stacks="USR2"), "takes the name of a signal, such as 'SIGUSR2', got 'USR2'"),
        (TargetSpec(server="x", headers={"A b": "c"}), "--header 'A b: c' is no header"),
        (TargetSpec(server="x", headers={"A": "c\r\nD: e"}), "is no header"),
        (TargetSpec(send=("x",)), "--send goes with --server"),
    ],
)
def test_what_cannot_be_meant_is_refused(spec: TargetSpec, said: str) -> None:
    with pytest.raises(InputError) as refused:
        spec.check()
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["no colon", ": value"])
def test_a_header_is_written_as_in_http(text: str) -> None:
    with pytest.raises(InputError, match="write it as 'Name: value'"):
        target_spec.header(text)


TARGET = '[target]\nserver = "serve {host} {port}"\n'


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_a_folder_is_searched_for_files_with_a_target(tmp_path: Path) -> None:
    write(tmp_path, b__default=TARGET, a__default=TARGET, a__other="[tool]\n", node_modules__x=TARGET)
    assert [spec.name for spec in target_spec.find([tmp_path])] == ["a/default", "b/default"]


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    write(tmp_path, a__one=TARGET, a__two=TARGET)
    assert [spec.name for spec in target_spec.find([tmp_path / "a" / "two.toml"])] == ["a/two"]


def test_a_fix_is_named_by_its_file_and_names_the_server_beside_it(tmp_path: Path) -> None:
    write(tmp_path, a__default=TARGET, a__fixed=f'{TARGET}fixes = "default"\n')
    assert [spec.fixes_name for spec in target_spec.find([tmp_path])] == [None, "a/default"]
    (alone,) = target_spec.find([tmp_path / "a" / "fixed.toml"])
    assert alone.fixes_name == "a/default"


@pytest.mark.parametrize(
    ("files", "paths", "words"),
    [
        ({}, [], "no target file given; .* such as examples/"),
        ({"x": "[tool]\n"}, ["."], r"no file in this folder has a \[target\] table"),
        ({"a__x": TARGET, "b__a__x": TARGET}, ["."], "two servers would both be called 'a/x'"),
        ({"x": "[target\n"}, ["."], "not TOML"),
        ({"x": '[target]\nserver = "x"\nedge = "squid"\n'}, ["."], "squid"),
        ({}, ["y.toml"], "no such target file"),
        ({"a__x": f'{TARGET}fixes = "x"\n'}, ["."], r"x\.toml: key 'target\.fixes': 'x' is a fix too"),
    ],
)
def test_what_describes_no_server_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, str], paths: list[str], words: str
) -> None:
    write(tmp_path, **files)
    with pytest.raises(InputError, match=words):
        target_spec.find([tmp_path / path for path in paths])


def with_versions(tmp_path: Path, versions: str | None) -> TargetSpec:
    return TargetSpec(server="x", versions=versions, environment={"OF": "theirs"}, file=str(tmp_path / "x.toml"))


def test_versions_are_what_the_command_prints_beside_the_file_in_its_environment(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    assert target_spec.versions(with_versions(tmp_path, "sh -c 'ls; echo $OF'")) == "here theirs"
    assert target_spec.versions(with_versions(tmp_path, None)) == ""


@pytest.mark.parametrize(
    ("command", "why"), [("sh -c 'echo why >&2; exit 3'", "why"), ("no-such-program", "No such file"), ("false", "1")]
)
def test_versions_that_cannot_be_had_are_an_error_that_names_the_file(tmp_path: Path, command: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"x\.toml: the command of key 'target\.versions' failed: .*{why}"):
        target_spec.versions(with_versions(tmp_path, command))


def test_every_example_is_a_target_that_says_its_title_versions_and_stacks() -> None:
    found = target_spec.find([EXAMPLES])
    assert len(found) >= 19
    assert [one.name for one in found if not (one.title and one.versions)] == []
    # Go's own signal for stacks ends the process, and a proxy has none.
    without = {one.name.partition("/")[0] for one in found if not one.stacks}
    assert without == {"gorilla", "haproxy", "nginx"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("grace = '0s'", "key 'target.grace': '0s' is out of range"), ("poll = 'soon'", "key 'target.poll': ")],
)
def test_a_grace_or_poll_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(f"[target]\nserver = 'x'\n{text}\n")
    with pytest.raises(InputError) as refused:
        target_spec.load(path).check()
    assert said in str(refused.value)


def test_the_command_line_comes_before_the_file_and_the_file_before_the_default() -> None:
    spec = TargetSpec(server="x", grace="45s", poll="3s")
    asked = ScenarioOptions(ready=Duration(30)).request([], target=spec)
    assert (asked.grace, asked.poll) == (45.0, 3.0)
    asked = ScenarioOptions(grace=Duration(10), ready=Duration(30)).request([], target=spec)
    assert (asked.grace, asked.poll) == (10.0, 3.0)
    asked = ScenarioOptions(ready=Duration(30)).request([], target=TargetSpec(server="x"))
    assert (asked.grace, asked.poll) == (30.0, 2.0)
