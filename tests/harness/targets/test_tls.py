"""A server that speaks TLS, certified by the run's own authority, which only the clients trust."""

from __future__ import annotations

from pathlib import Path

from halfopen.targets import tls
from tests.harness.cli.tool import by_scenario, halfopen
from tests.harness.clients.test_behaviours import client
from tests.harness.pod.pods import eventually, pod
from tests.machine import needs_labs

#: The stream takes three seconds to fill the client's buffer, longer than a session is observed at such a grace.
TERMS = ("--grace", "1s", "--poll", "500ms", "--hold", "6s", "--clock", "real")


@needs_labs
def test_a_frozen_client_behind_tls_is_found_and_the_pods_own_books_are_read(tmp_path: Path) -> None:
    ran = halfopen("run", "dead/frozen_tls", *TERMS, "--out", str(tmp_path))
    run = by_scenario(tmp_path)["frozen_tls"]
    assert (ran.code, run["verdict"], run["reason"]) == (0, "passed", "send_stall"), run["why"]
    assert (run["sessions_after"], run["lock_held_after"]) == ([], False)


def test_a_client_trusts_the_authority_it_is_given_and_no_other() -> None:
    with (
        tls.certified("127.0.0.1") as made,
        tls.certified("127.0.0.1") as other,
        pod("--tls-cert", str(made.chain), "--tls-key", str(made.key)) as server,
    ):
        url = server.url().replace("ws:", "wss:")
        with client("draining", url, str(made.authority)) as it:
            eventually(lambda: [w for w in it.heard("progress") if w["received"] > 300_000])
        with client("draining", url, str(other.authority)) as it:
            assert it.wait() == 0
            assert "certificate verify failed" in it.heard("refused")[0]["why"].lower()


def test_a_trickling_client_goes_on_reading_what_tls_has_deciphered() -> None:
    with (
        tls.certified("127.0.0.1") as made,
        pod("--tls-cert", str(made.chain), "--tls-key", str(made.key)) as server,
        client("trickling", server.url().replace("ws:", "wss:"), str(made.authority), rate="50kB/s", chunk="5kB") as it,
    ):
        eventually(lambda: [w for w in it.heard("progress") if w["received"] > 100_000])


def test_its_key_is_this_users_alone_and_gone_with_the_server() -> None:
    with tls.certified("198.18.1.2") as made:
        assert made.key.parent.stat().st_mode & 0o077 == 0
    assert not made.key.exists()
