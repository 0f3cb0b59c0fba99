"""The server under test as a user describes it: by options, or by a ``[target]`` table in a TOML file.

Finds such files, too, and asks their servers for versions.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from halfopen import plugins, proxies
from halfopen.errors import InputError
from halfopen.model import schema, text_files
from halfopen.model.pod_api import PodApi
from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError


class PodChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The variant of the built-in pod: key ``target.pod``."""

    api: PodApi = "sync"
    """API of websockets that it is built on."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server to start, the session that clients ask it for, and its list of sessions.

    With neither ``server`` nor ``image``: the built-in pod.
    """

    pod: PodChoice | None = None
    """The variant of the built-in pod, in a file that names no other server."""
    server: str | None = None
    """Command line, with ``{host}`` and ``{port}`` in it, and ``{cert}`` and ``{key}`` for TLS."""
    image: str | None = None
    """A container image that the engine has, in place of a command."""
    command: str | None = None
    """Command to run in the image in place of its own, with ``{host}`` and ``{port}`` in it."""
    port: int | None = None
    """Port that it listens on, if ``{port}`` cannot set it."""
    path: str = "/"
    """Path that clients request, with an optional query."""
    subprotocols: tuple[str, ...] = ()
    """Subprotocols that clients offer (Sec-WebSocket-Protocol, RFC 6455, section 1.9)."""
    headers: dict[str, str] = {}
    """Headers that clients add to their handshake."""
    send: tuple[str, ...] = ()
    """Text messages that a client sends first: a token, a subscription. Many servers stream only after that."""
    replies: dict[str, str] = {}
    """A client's answers to text messages of the server: the application's own heartbeat."""
    acknowledge: str | None = None
    """Message by which a client reports the bytes received, ``{bytes}`` in all; None or empty: no report."""
    sessions: str | None = None
    """HTTP path of the server's own list of sessions."""
    sessions_pointer: str = ""
    """Position of the list in the answer (JSON Pointer, RFC 6901)."""
    sessions_field: str | None = None
    """Field of a session, or of an object inside it (JSON Pointer too), that holds its client's address."""
    tls: bool = False
    """True if it speaks TLS (wss://), with a certificate of an authority that clients trust."""
    edge: str | None = None
    """A proxy to put in front of it (halfopen.proxies)."""
    guard: bool = False
    """True if ``halfopen guard`` starts it, with the grace and poll of the run."""
    environment: dict[str, str] = {}
    """Environment variables to add for the command or container. For a container, ``{host}`` and ``{port}`` are filled
    in."""
    stacks: str | None = None
    """Signal upon which it prints the stacks of its threads or tasks. Sent if a dead client is still held."""
    grace: str | None = None
    """The longest that this server may keep a dead client, unless --grace says otherwise: a duration with its unit."""
    poll: str | None = None
    """The time between two checks of its watchdog, unless --poll says otherwise."""
    title: str | None = None
    """Title in reports."""
    versions: str | None = None
    """Command that prints the versions of its parts."""
    fixes: str | None = None
    """For reports: the file in the same folder, without its suffix, whose server this is with its fix."""
    file: str | None = None
    """File that this was read from."""

    @property
    def is_pod(self) -> bool:
        """True for the built-in pod."""
        return self.server is None and self.image is None

    @property
    def option(self) -> str:
        """The option that names it, for messages that say which option to leave out."""
        return "--server" if self.image is None else "--image"

    @property
    def folder(self) -> str | None:
        """Working directory of its command: the folder of its file; None: the current one."""
        return None if self.file is None else str(Path(self.file).absolute().parent)

    @property
    def name(self) -> str:
        """Name among other targets: its file and the folder of the file."""
        if self.file is None:
            return self.server or self.image or "pod"
        path = Path(self.file).absolute()
        return f"{path.parent.name}/{path.stem}{' guarded' * self.guard}"

    @property
    def fixes_name(self) -> str | None:
        """Name of the target whose server this is with its fix."""
        return None if self.fixes is None else f"{self.name.rpartition('/')[0]}/{self.fixes}"

    def arguments(self) -> list[str]:
        """Return command-line options that describe it again: its file, if still readable, and whatever differs."""
        base, words = _BLANK, []
        if self.file is not None:
            with contextlib.suppress(InputError):
                base, words = load(Path(self.file)), ["--target", self.file]
        for field, option in _OPTIONS.items():
            value = getattr(self, field)
            # If the file has a server that this target lacks, this target has another one in its place.
            if value is not None and value != getattr(base, field):
                sign = "=" if field == "environment" else ": "
                texts = _texts(value, sign)
                words += [word for text in texts for word in ([option, text] if text is not None else [option])]
        return words

    def check(self) -> None:
        """Raise InputError for settings that make no sense."""
        for problem in self._problems():
            raise InputError(problem)
        if self.edge is not None:
            plugins.load(proxies, self.edge)

    def _problems(self) -> Iterator[str]:
        yield from self._wrong_for_the_pod() if self.is_pod else self._wrong_for_a_container()
        yield from self._wrong_paths()
        if self.server is not None and self.tls and not ("{cert}" in self.server and "{key}" in self.server):
            yield "--tls: the command is told its certificate by {cert} and {key}, and has not got both"
        if self.tls and self.edge is not None:
            yield "--tls and --edge exclude each other: the proxies here pass plain text on"
        if self.stacks is not None and self.stacks not in signal.Signals.__members__:
            yield f"key 'target.stacks' takes the name of a signal, such as 'SIGUSR2', got {self.stacks!r}"
        for key, text in (("grace", self.grace), ("poll", self.poll)):
            if text is not None and (why := _wrong_duration(text)):
                yield f"key 'target.{key}': {why}"
        yield from wrong_headers(self.headers)

    def _wrong_for_the_pod(self) -> Iterator[str]:
        if self.sessions is not None:
            yield f"--sessions {self.sessions!r} goes with --server; the pod's own list is asserted anyway"
        for field, option in _OPTIONS.items():
            if field not in _FOR_THE_POD and getattr(self, field) != getattr(_BLANK, field):
                yield f"{option} goes with --server; the built-in pod need not be asked for anything"

    def _wrong_for_a_container(self) -> Iterator[str]:
        if self.server is not None and self.image is not None:
            yield "--server and --image exclude each other: one server is tested at a time"
        if self.pod is not None:
            yield f"key 'target.pod' is the built-in server's, and there is a {self.option}; leave one out"
        if self.command is not None and self.image is None:
            yield "--command is what runs in an --image; with --server, write it there"
        if self.image is not None and self.tls:
            yield "--tls goes with --server: a container is not told its certificate; let it speak plain text"
        if self.image is not None and self.guard:
            yield "--guard goes with --server; in an image, write 'halfopen guard --' in front of its command"
        if self.port is not None and not 0 < self.port < 1 << 16:
            yield f"--port {self.port} is out of range: 1 to 65535"
        for name in self.environment:
            if not name or "=" in name:
                yield f"--env: {name!r} cannot be a variable's name; write it as NAME=VALUE"

    def _wrong_paths(self) -> Iterator[str]:
        for option, path in (("--path", self.path), ("--sessions", self.sessions)):
            if path is not None and not path.startswith("/"):
                yield f"{option} {path!r} is no path on a server; write it with a slash in front: {'/' + path!r}"
        if self.sessions is None and (self.sessions_pointer or self.sessions_field):
            yield "--sessions-pointer and --sessions-field go with --sessions, the path of the server's list"
        if self.sessions_pointer and not self.sessions_pointer.startswith("/"):
            yield f"--sessions-pointer {self.sessions_pointer!r} is no JSON Pointer: write it as '/data/sessions'"


def _wrong_duration(text: str) -> str | None:
    try:
        seconds = units.duration(text)
    except UnitError as error:
        return str(error)
    return None if 0 < seconds <= units.LONGEST else f"{text!r} is out of range; write one such as '30s'"


_BLANK = TargetSpec()
#: RFC 9110, sections 5.1 and 5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def wrong_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield a complaint about each header that is none (RFC 9110, section 5)."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            yield f"--header {f'{name}: {value}'!r} is no header: write it as 'Name: value'"


#: Fields that the command line can set too, each with its option.
_OPTIONS = {
    "server": "--server",
    "image": "--image",
    "command": "--command",
    "port": "--port",
    "environment": "--env",
    "path": "--path",
    "subprotocols": "--subprotocol",
    "headers": "--header",
    "send": "--send",
    "sessions": "--sessions",
    "sessions_pointer": "--sessions-pointer",
    "sessions_field": "--sessions-field",
    "tls": "--tls",
    "edge": "--edge",
    "guard": "--guard",
}
_FOR_THE_POD = frozenset({"path", "sessions", "tls", "edge", "sessions_pointer", "sessions_field"})
#: Folders in which no target files are searched for.
_LEAVE_ALONE = frozenset({"node_modules", "__pycache__"})
#: Seconds that a command may take to print its versions.
_PATIENCE = 60.0


def _texts(value: object, sign: str) -> list[str | None]:
    """Return the texts that an option is given with, one or more; None: it takes none.

    ``sign`` stands between a name and its value.
    """
    if isinstance(value, bool):
        return [None]
    if isinstance(value, Mapping):
        return [f"{name}{sign}{text}" for name, text in value.items()]
    return [str(text) for text in value] if isinstance(value, tuple) else [str(value)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: TargetSpec


def load(path: Path) -> TargetSpec:
    """Read the ``[target]`` table of a file; raises InputError that names the file, the key and the value."""
    try:
        table = tomllib.loads(text_files.text_of(path, "target file"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    spec = schema.convert(table, _File, str(path)).target
    if spec.file is not None:
        raise InputError(f"{path}: unknown key 'target.file'")
    if spec.is_pod and spec.pod is None:
        raise InputError(
            f"{path}: key 'target.server' is missing, the command that starts the server, or 'target.image' or "
            "'target.pod'"
        )
    return msgspec.structs.replace(spec, file=str(path))


def find(paths: Sequence[Path]) -> list[TargetSpec]:
    """Return the servers in these files, and in those files of these folders that have a ``[target]``, each name once.

    Raises InputError for a file that describes none.
    """
    if not paths:
        raise InputError("no target file given; name target files, or folders of them, such as examples/")
    specs = [load(file) for path in paths for file in _files(path)]
    seen: dict[str, TargetSpec] = {}
    for spec in specs:
        spec.check()
        other = seen.setdefault(spec.name, spec)
        if other is not spec:
            raise InputError(f"two servers would both be called {spec.name!r}: {other.file} and {spec.file}")
    for spec in specs:
        if spec.fixes_name in seen and seen[spec.fixes_name].fixes is not None:
            raise InputError(
                f"{spec.file}: key 'target.fixes': {spec.fixes!r} is a fix too; name the server as it comes"
            )
    return specs


def _files(path: Path) -> list[Path]:
    # Not Path.is_dir, which raises if it may not read the folder. ``load`` reports that.
    if not os.path.isdir(path):  # noqa: PTH112
        return [path]
    found = [file for file in sorted(_toml_files(path)) if _has_target(file)]
    if not found:
        raise InputError(f"{path}: no file in this folder has a [target] table; see docs/targets.md")
    return found


def _toml_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.toml"):
        parents = file.relative_to(folder).parts[:-1]
        if not any(part in _LEAVE_ALONE or part.startswith(".") for part in parents):
            yield file


def _has_target(file: Path) -> bool:
    """True if the file has a ``[target]`` table, or cannot be read: ``load`` reports that."""
    try:
        return "target" in tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True


def versions(spec: TargetSpec) -> str:
    """Return the output of the target's versions command, empty if it has none. Raises InputError if it fails."""
    if spec.versions is None:
        return ""
    try:
        done = subprocess.run(
            split(spec.versions),
            cwd=spec.folder,
            env=os.environ | spec.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(_failed(spec, str(error))) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(_failed(spec, last))
    return " ".join(done.stdout.split())


def _failed(spec: TargetSpec, why: str) -> str:
    return f"{spec.file}: the command of key 'target.versions' failed: {spec.versions!r}: {why}"


def split(command: str, option: str = "--server") -> list[str]:
    """Split a command line, the value of ``option``, into words; raises InputError if it is none."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{option}: not a command line: {command!r} ({str(error).lower()})") from None
    if not words:
        raise InputError(f"{option} is empty; write the server's command, with {{host}} and {{port}} in it")
    return words


def variable(text: str) -> tuple[str, str]:
    """Split NAME=VALUE, an environment variable, into name and value; raises InputError."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"--env {text!r} is no variable: write it as NAME=VALUE")
    return name, value


def header(text: str) -> tuple[str, str]:
    """Split a header written as in HTTP into name and value; raises InputError."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise InputError(f"--header {text!r} is no header: write it as 'Name: value'")
    return name.strip(), value.strip()
