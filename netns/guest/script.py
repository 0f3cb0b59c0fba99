"""The options of a boot, and the guest's first process: a shell script, written for each boot. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest.cache import GuestKernel

#: Consoles: the command's output, its errors, and the line to the machine outside.
OUT, ERR, LINE = "/dev/tty0", "/dev/tty1", "/dev/tty2"
#: Messages on the line. Inward: names of signals. Outward: one message once signals are heard, and the command's exit
#: code as the guest's last message.
LISTENING, EXIT = "listening", "exit"

# Some programs (ping) take a monotonic clock below a second for unset, so wait for it to pass. That is free on the
# virtual clock. On a real one, booting may have taken as long.
_HEAD_START_FREE = "sleep 2"
_HEAD_START_REAL = 'while read -r up _ </proc/uptime && [ "${up%%.*}" -lt 1 ]; do sleep 0.1; done'

# Found by the shell's own path. The command's path might lack it.
_SESSION = "$(command -v setsid)"
_STREAMS = "</dev/null >$out 2>$err 7<&- 8>&-"


#: Seconds for which processes left by the command may go on writing; a server would write for ever.
_AFTERLIFE = 60

# glibc returns freed memory and faults it in again. In a guest each fault costs as much as a hundred system calls.
_KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TOP_PAD_": str(1 << 20),
}


@dataclass(frozen=True, slots=True)
class Boot:
    """The options of one boot."""

    kernel: GuestKernel
    command: Sequence[str]
    writable: Sequence[Path] = ()
    wall_limit: float = 600.0
    """Seconds of wall time after which the guest is abandoned."""
    memory: int = 1 << 30
    """Bytes of the guest's memory; the machine allocates only the part in use."""
    virtual: bool = True
    """True for a virtual clock, on which time only passes while processes wait."""
    seed: int | None = None
    """Seed of its random numbers; None: seeded by the machine."""
    processor: int = field(default_factory=os.getpid)
    """Number of the processor that it runs on, modulo the number available; by default any."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the command in addition to our own."""


def render(
    boot: Boot,
    *,
    folder: Path,
    environment: Mapping[str, str],
    now: int,
    terminal: tuple[int, int] | None = None,
    one_output: bool = False,
) -> str:
    """Return the script that runs the boot's command in ``folder``, with this environment.

    ``now`` is the initial time of its wall clock, seconds since 1970. ``terminal`` has the columns and lines of the
    terminal that receives its output; None without a terminal. ``one_output`` is true if its errors go to its output's
    destination, so that both must stay in order.
    """
    size = {} if terminal is None else {"COLUMNS": str(terminal[0]), "LINES": str(terminal[1])}
    values = shlex.join(f"{name}={value}" for name, value in {**environment, **_KEEP_MEMORY, **size}.items())
    start = f"date -s @{now} >/dev/null\n{_HEAD_START_FREE}" if boot.virtual else _HEAD_START_REAL
    return f"""\
#!/bin/sh
# Boots, runs one command, and says how it ended. The machine outside takes the power away.

# To the guest, an ordinary user's files are root's, and root's are nobody's (user_namespaces(7)). A setuid program such
# as mount would turn root into nobody.
if [ ! -O "$(command -v mount)" ]; then
setpriv --no-new-privs mount -o remount,bind,ro,nosuid none /
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts && mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/lock /run/tmp/upper /run/tmp/work
# Writes are private, but the machine's files stay visible: the command line may name one.
mount -t overlay -o lowerdir=/tmp,upperdir=/run/tmp/upper,workdir=/run/tmp/work overlay /tmp && chmod 1777 /tmp
for console in {OUT} {ERR} {LINE}; do stty -F $console -onlcr -echo; done
# The last action of a guest: report the exit code, and wait for the power to go.
finish() {{
sync
# Waits until the console has passed on all its output (TCSADRAIN).
for console in {OUT} {ERR}; do stty -F $console onlcr; done
echo {EXIT} $1 >{LINE}
while :; do sleep 1000; done
}}
{"".join(map(_writable, boot.writable))}# Keep it open from here on: input to a console that is not open is lost.
exec 7<{LINE}
# Not every machine has iproute2, but every Debian has perl: SIOCSIFFLAGS, IFF_UP (netdevice(7)).
if command -v ip >/dev/null; then ip link set lo up
else perl -e 'socket(S, 2, 2, 0); ioctl(S, 0x8914, $_ = pack("a16sx22", "lo", 1))'; fi
{start}
cd {shlex.quote(str(folder))}
{_outputs(terminal, one_output)}
echo {LISTENING} >{LINE}
# Not in the background: there a shell makes its commands ignore SIGINT (POSIX, Shell Command Language, 2.11).
(
read -r command rest </proc/self/stat
(while read -r signal; do kill -$signal -$command || kill -$signal $command; done <&7 2>/dev/null &)
# Only the command gets its environment, with any names: a shell would act on some (PATH, IFS).
exec env -i -- {values} {_SESSION} {shlex.join(boot.command)} {_STREAMS}
)
code=$?
# A wait without arguments would also wait for the loop above, which does not end.
[ -z "$outputs" ] || {{ {{ sleep {_AFTERLIFE}; kill $outputs; }} & wait $outputs; }}
finish $code
"""


def _writable(folder: Path) -> str:
    """Return the lines that mount a writable folder. Without it, the command's writes would silently be lost."""
    quoted = shlex.quote(str(folder))
    refused = shlex.quote(f"halfopen: the guest cannot mount {str(folder)!r} to write to it:")
    return f"""\
why=$({{ mkdir -p {quoted} && mount -t hostfs -o {quoted} none {quoted}; }} 2>&1) ||
{{ printf '%s %s\\n' {refused} "$why" >{ERR}; finish {ExitCode.GUEST}; }}
"""


def _outputs(terminal: tuple[int, int] | None, one_output: bool) -> str:
    """Return the setup of stdout and stderr: the consoles, through pipes if the machine's are no terminals."""
    err = OUT if one_output else ERR
    if terminal is not None:
        columns, lines = terminal
        # Held open, since a terminal forgets its size when it is closed everywhere.
        return f"exec 8>{OUT}\nstty -F {OUT} cols {columns} rows {lines}\nout={OUT} err={err} outputs="
    if one_output:
        return f"mkfifo /run/out\ncat /run/out >{OUT} & outputs=$!\nout=/run/out err=/run/out"
    return f"""\
mkfifo /run/out /run/err
cat /run/out >{OUT} & outputs=$!
cat /run/err >{ERR} & outputs="$outputs $!"
out=/run/out err=/run/err"""
