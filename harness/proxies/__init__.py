"""Proxies to put between the network and a server, one a file, chosen by name.

A proxy's module has four names:

``PROGRAM``, ``PACKAGE``
    what it is called in the file system, and in Debian.
``config(listen, upstream, folder)``
    the text of its configuration: where it listens, where it passes on to (:class:`halfopen.netns.sockets.Address`),
    and the one folder that it may write to.
``command(program, file)``
    how it is started in the foreground, as one process, with that configuration.
"""
