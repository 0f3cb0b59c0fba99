"""Proxies between the network and a server, one a file, chosen by name.

A proxy's module has these names:

``SUMMARY``
    its behaviour in one line.
``PROGRAM``, ``PACKAGE``
    names of its program in the file system, and of its package in Debian.
``config(listen, upstream, folder)``
    the text of its configuration: the address to listen on, the server's address
    (:class:`halfopen.netns.sockets.Address`), and the one folder that it may write to.
``command(program, file)``
    the command that starts it in the foreground, as one process, with that configuration.
"""

NOUN = "proxy"
NEEDS = ("PROGRAM", "PACKAGE", "config", "command")
