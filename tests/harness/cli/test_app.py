"""``halfopen`` alone greets: its purpose, and three commands that are understood."""

from __future__ import annotations

import halfopen as package
from tests.harness.cli.tool import called
from tests.harness.cli.understood import calls, understand


def test_alone_it_says_its_purpose_and_three_commands_to_start_with() -> None:
    ran = called()
    assert (ran.code, ran.err) == (0, "")
    assert f"halfopen {package.__version__}: does your WebSocket server notice its dead clients" in ran.out
    assert package.REPOSITORY in ran.out
    commands = [words for line in ran.out.splitlines() if line[:11] == "  halfopen " for words in calls(line)]
    assert [words[0] for words in commands] == ["doctor", "run", "init"]
    for words in commands:
        understand(words)
        if "--server" in words:
            assert words[-1] == "python my_server.py --host {host} --port {port}"
    assert max(map(len, ran.out.splitlines())) <= 120


def test_the_help_still_lists_every_command() -> None:
    ran = called("--help")
    assert ran.code == 0
    for name in ("run", "init", "probe", "list", "doctor"):
        assert f" {name} " in ran.out
