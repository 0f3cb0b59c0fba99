"""The edit that makes a guest's kernel announce the ends of sessions (received in tests/netns/test_sockets.py)."""

from __future__ import annotations

from pathlib import Path

from halfopen.netns import sockets
from halfopen.netns.guest.patches import end_notices
from halfopen.netns.guest.patches.end_notices import announce_ends

TCP = """\
#include <linux/inet_diag.h>

void tcp_set_state(struct sock *sk, int state)
{
	int oldstate = sk->sk_state;

	inet_sk_state_store(sk, state);
}
"""


def tree(place: Path, text: str) -> Path:
    (place / "net/ipv4").mkdir(parents=True)
    (place / "net/ipv4/tcp.c").write_text(text)
    return place


def test_the_state_is_announced_once_it_is_set(tmp_path: Path) -> None:
    assert announce_ends(tree(tmp_path, TCP))
    text = (tmp_path / "net/ipv4/tcp.c").read_text()
    assert "#include <linux/sock_diag.h>" in text
    assert text.index("static void tcp_announce_end(") < text.index("void tcp_set_state(")
    assert text.index("inet_sk_state_store(sk, state);") < text.index("\t\ttcp_announce_end(sk);\n}")


def test_a_source_that_is_another_stays_as_it_is(tmp_path: Path) -> None:
    other = TCP.replace("inet_sk_state_store", "set")
    assert not announce_ends(tree(tmp_path, other))
    assert (tmp_path / "net/ipv4/tcp.c").read_text() == other


def test_the_message_has_the_type_that_the_lab_listens_for() -> None:
    assert end_notices.TYPE == sockets.ENDED
