"""Isolated networks on Linux without root: namespaces, links, impairments, and the kernel's view of each socket.

Nothing is imported here. A process that needs one module only (a server using :mod:`halfopen.netns.tcp_info`, say) does
not pay for netlink libraries.
"""
