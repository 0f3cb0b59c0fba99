"""Has a guest's kernel announce each TCP session that its own side ends, by a change to the kernel's source.

Linux announces a socket that ceases to exist (SKNLGRP_INET_TCP_DESTROY, sock_diag(7)). A socket with bytes queued
outlives its session by minutes, so the lab has to look for the session's end every few milliseconds. With this change
the moment at which a socket leaves ESTABLISHED or CLOSE_WAIT is announced to the same group, in a message of its own
type. A look costs a guest more than all else that it does for a stalled session.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

#: The type of the message. Written here, not taken from halfopen.netns.sockets, since a kernel goes by this file.
TYPE = 0x60
_FILE = "net/ipv4/tcp.c"
_ANNOUNCE = f"""\
static void tcp_announce_end(struct sock *sk)
{{
	struct sock *nlsk = sock_net(sk)->diag_nlsk;
	int group = sk->sk_family == AF_INET6 ? SKNLGRP_INET6_TCP_DESTROY : SKNLGRP_INET_TCP_DESTROY;
	struct nlmsghdr *nlh;
	struct sk_buff *skb;

	if (!nlsk || !netlink_has_listeners(nlsk, group))
		return;
	skb = nlmsg_new(sizeof(struct inet_diag_msg), GFP_ATOMIC);
	if (!skb)
		return;
	nlh = nlmsg_put(skb, 0, 0, {TYPE}, sizeof(struct inet_diag_msg), 0);
	memset(nlmsg_data(nlh), 0, sizeof(struct inet_diag_msg));
	inet_diag_msg_common_fill(nlmsg_data(nlh), sk);
	((struct inet_diag_msg *)nlmsg_data(nlh))->idiag_state = sk->sk_state;
	nlmsg_multicast(nlsk, skb, 0, group, GFP_ATOMIC);
}}

"""
EDITS = (
    Edit(_FILE, "#include <linux/inet_diag.h>\n", "#include <linux/inet_diag.h>\n#include <linux/sock_diag.h>\n"),
    Edit(
        _FILE,
        "void tcp_set_state(struct sock *sk, int state)\n",
        _ANNOUNCE + "void tcp_set_state(struct sock *sk, int state)\n",
    ),
    Edit(
        _FILE,
        "\tinet_sk_state_store(sk, state);\n}\n",
        "\tinet_sk_state_store(sk, state);\n"
        "\tif ((1 << oldstate) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) &&\n"
        "\t    !((1 << state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)))\n"
        "\t\ttcp_announce_end(sk);\n"
        "}\n",
    ),
)


def announce_ends(tree: Path) -> bool:
    """Change the kernel source in ``tree``; False, and nothing is changed, if it is not as it was known to be."""
    return apply(EDITS, tree)
