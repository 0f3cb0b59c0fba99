"""Isolated networks on Linux without root: namespaces, links, impairments, and what the kernel knows of each socket.

Nothing is imported here, so that a process which only needs one module (a server using
:mod:`halfopen.netns.tcp_info`, say) does not pay for netlink libraries.
"""
