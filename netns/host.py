"""A host: a network namespace without a name, held by a file descriptor, in which processes run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halfopen.netns import _libc, netlink, processes, rtnetlink
from halfopen.netns.lab_errors import LabError, UnsupportedError
from halfopen.netns.sockets import EndListener, SocketReader, announces_ends

if TYPE_CHECKING:
    from pyroute2 import IPRoute

#: Returns a socket's network namespace (linux/sockios.h).
_SIOCGSKNS = 0x894C

LOOPBACK = 1
"""The interface index of ``lo`` in every network namespace."""


class Host:
    """One network namespace; it lives as long as something holds it: this object, a process, a socket.

    By default a new one. ``namespace`` is a descriptor of an existing one, such as a container's; it remains the
    caller's. Methods may be called from any thread, but not from two at once. Raises LabError if this process may not
    create, or not enter, namespaces.
    """

    def __init__(self, name: str, *, is_router: bool = False, namespace: int | None = None) -> None:
        self.name = name
        self.is_router = is_router
        self.has_default_route = False
        with _away(lambda: _move_in(name, namespace)), contextlib.ExitStack() as held:
            self._fd = _here()
            held.callback(os.close, self._fd)
            self._rtnetlink = held.enter_context(netlink.open_socket(netlink.NETLINK_ROUTE))
            self.configure(rtnetlink.up(LOOPBACK))
            self._held = held.pop_all()

    def __repr__(self) -> str:
        return f"Host({self.name!r})"

    def fileno(self) -> int:
        """Return the descriptor that holds the namespace. A process that inherits it keeps the host alive."""
        return self._fd

    def configure(self, *requests: netlink.NetlinkRequest) -> None:
        """Apply changes to the host's interfaces (halfopen.netns.rtnetlink); raises OSError for the first refused."""
        netlink.call(self._rtnetlink, *requests)

    def dump(self, request: netlink.NetlinkRequest) -> list[memoryview]:
        """Return the answers to a dump request on the host's interfaces, one message each; raises OSError."""
        asking = netlink.message(request.kind, request.flags | netlink.NLM_F_DUMP, request.body)
        return list(netlink.dump(self._rtnetlink, asking, request.what))

    def is_running(self, index: int) -> bool:
        """True if an interface of the host passes packets on; raises OSError."""
        return rtnetlink.is_running(netlink.ask(self._rtnetlink, rtnetlink.state(index)))

    @contextlib.contextmanager
    def rtnetlink(self) -> Iterator[IPRoute]:
        """pyroute2's rtnetlink of this host, for the calling thread and only within the context."""
        # Imported here: pyroute2 is most of the cost of importing a lab, and few scenarios need it.
        from pyroute2 import IPRoute  # noqa: PLC0415

        with self.entered(), IPRoute() as routes:
            yield routes

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run the calling thread, and no other, inside the host."""
        with _away(lambda: _libc.setns(self._fd, _libc.CLONE_NEWNET)):
            yield

    def sysctl(self, name: str, value: str) -> None:
        """Set a parameter of the host's network (sysctl(8)), such as ``net.ipv4.tcp_rmem``; raises OSError."""
        with self.entered():
            Path("/proc/sys", *name.split(".")).write_text(value)

    def spawn(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process in the host, in a session of its own; ``options`` are those of subprocess.Popen.

        The session is its own because the kernel resumes a stopped process whose group is orphaned
        (setpgid(2)), which would silently undo a freeze. Raises OSError if it cannot be started.
        """
        with self.entered():
            return subprocess.Popen(command, start_new_session=True, **options)

    def processes(self) -> list[int]:
        """Return the ids of the host's processes except this one; none if /proc shows another pid namespace."""
        own = os.getpid()
        if os.readlink("/proc/self") != str(own):  # noqa: PTH115 (each second)
            return []
        namespace = os.fstat(self._fd).st_ino
        return [pid for pid in processes.pids() if pid != own and _namespace_of(pid) == namespace]

    def holders(self, *inodes: int) -> list[int]:
        """Return the ids of the host's visible processes that hold any socket with these inodes (of samples)."""
        owners = []
        for pid in self.processes() if inodes else ():
            with contextlib.suppress(OSError):
                if any(inode in inodes for inode in processes.open_sockets(pid)):
                    owners.append(pid)
        return owners

    def kill_all(self) -> None:
        """Kill every process in the host (SIGKILL), even those that escaped from their parents, and wait for the end.

        Raises TeardownError if they do not end.
        """
        processes.kill_all(self.processes, f"host {self.name!r}")

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """Return a TCP connection made from inside the host; ``timeout`` in seconds; raises OSError."""
        with self.entered():
            return socket.create_connection(address, timeout)

    @contextlib.contextmanager
    def connecting(self, address: tuple[str, int]) -> Iterator[Callable[[], bool]]:
        """Attempt a TCP connection from inside the host until the context is left.

        Yields a function that returns True once the other host has answered, by accepting or refusing. Raises OSError.
        """
        with self.entered():
            attempt = socket.socket()
        with attempt:
            attempt.setblocking(False)
            attempt.connect_ex(address)
            poll = select.poll()
            poll.register(attempt, select.POLLOUT)
            yield lambda: bool(poll.poll(0))

    def tcp_counters(self) -> dict[str, int]:
        """Return the kernel's counters of TCP events in the host, such as ``ListenOverflows`` (netstat(8), TcpExt)."""
        with self.entered():
            lines = Path("/proc/thread-self/net/netstat").read_text(encoding="ascii").splitlines()
        names, values = (line.split()[1:] for line in lines if line.startswith("TcpExt:"))
        return dict(zip(names, map(int, values), strict=True))

    def socket_reader(self) -> SocketReader:
        """Return a reader of this host's TCP sockets."""
        with self.entered():
            return SocketReader()

    def end_listener(self) -> EndListener:
        """Return a listener for the ends of this host's TCP sockets."""
        with self.entered():
            return EndListener()

    def announces_ends(self) -> bool:
        """True if the kernel announces the end of each session (halfopen.netns.sockets.announces_ends)."""
        with self.entered():
            return announces_ends()

    def close(self) -> None:
        """End every TCP connection of the host and release the namespace.

        Otherwise a connection that still has bytes to send would keep the namespace in the kernel for minutes after the
        last process is gone. It still does if the kernel was built without CONFIG_INET_DIAG_DESTROY.
        """
        with self._held, contextlib.closing(self.socket_reader()) as reader:
            for sample in reader.connections():
                with contextlib.suppress(UnsupportedError):
                    reader.destroy(sample)


def _namespace_of(pid: int) -> int | None:
    """Return the inode of a process's network namespace (namespaces(7)); None if the process is gone or a zombie.

    If the main thread has ended, the others are still a process. Then it is the first one's.
    """
    try:
        return _inode_of_namespace(f"/proc/{pid}")
    except OSError:
        pass
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                return _inode_of_namespace(str(thread))
    return None


def _inode_of_namespace(process: str) -> int:
    # Not Path.stat, which takes longer than the call: this is done for each process each second.
    return os.stat(f"{process}/ns/net").st_ino  # noqa: PTH116


def _move_in(name: str, namespace: int | None) -> None:
    """Move the calling thread into an existing namespace, or a new one."""
    try:
        if namespace is None:
            _libc.unshare(_libc.CLONE_NEWNET)
        else:
            _libc.setns(namespace, _libc.CLONE_NEWNET)
    except PermissionError as error:
        why = (
            "may not create network namespaces; build the lab inside halfopen.netns.isolation.run, which needs no root"
            if namespace is None
            else "may not enter this network namespace; it must be root in the namespace's user namespace"
        )
        raise LabError(f"cannot create host {name!r}: this process {why}") from error


def _here() -> int:
    """Return a descriptor of the calling thread's network namespace.

    It comes from a socket (SIOCGSKNS, net/socket.c), not from /proc. In a guest on the virtual clock, a process whose
    /proc entry is read as it ends may never leave d_invalidate (fs/dcache.c), because no tick makes it wait for the
    reader.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
        try:
            return fcntl.ioctl(here, _SIOCGSKNS)
        except OSError:  # this process may not administer it, but it may return to it
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def _away(leave: Callable[[], None]) -> Iterator[None]:
    """Have the calling thread ``leave`` its network namespace, and return when the context is left."""
    home = _here()
    try:
        leave()
        try:
            yield
        finally:
            _libc.setns(home, _libc.CLONE_NEWNET)
    finally:
        os.close(home)
