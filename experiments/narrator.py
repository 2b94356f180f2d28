"""Passes on what a process of a distributed run writes to standard error, until it has ended.

`experiments.distributed` starts it as a program of its own. When one process of a run dies, JAX
aborts the others with a stack trace, which no handler inside them can prevent; one line stands here
in its place. Python's own modules are all that it needs.
"""

import os
import re
import select
import signal
import sys

# Of a log line of what holds the processes together, which tells of a death in several of them.
_HEAD = re.compile(
    rb"[EWF]\d{4} [\d:.]+ +\d+ (coordination_service\w*|preemption_sync\w*|client)\.(cc|h):\d+\]"
)
_ABORT = b"JAX distributed service detected fatal errors"
# What the log says of the cause, and who or what that was.
_SILENT = re.compile(rb"stopped sending heartbeats\):\n(?:/job:\S*task:)?(\d+)")
_TWICE = re.compile(rb"(\d+) unexpectedly tried to connect with a different incarnation")
_FIRST_IS_GONE = re.compile(rb"Socket closed|Connection re(set|fused)|leader task")
_NOT_ALL = b"CoordinationService/RegisterTask"

_TOLD = b"of this run has died"
_PATIENCE = 2.0  # seconds until lines that announce an abort are passed on, if none comes


def epitaph(who: str) -> str:
    """The line that tells why the process ends: `who` is like 'process 1'."""
    return (
        f"error: {who} {_TOLD.decode()} or ended with an error, which its own output tells; "
        "start the same command again on all hosts: it goes on from the last checkpoint"
    )


def _why(held: bytes) -> str:
    """One line for what JAX logs when it ends a process."""
    twice, silent = _TWICE.search(held), _SILENT.search(held)
    if twice:
        return (
            f"error: process {int(twice[1])} of this run has started again, or two have its "
            "number; start the same command again on all hosts: it goes on from the last checkpoint"
        )
    if _NOT_ALL in held:
        return (
            "error: the processes did not come together in time; start the same command on all "
            "hosts, with the same coordinator, within --join_within seconds"
        )
    if silent:
        return epitaph(f"process {int(silent[1])}")
    return epitaph("process 0" if _FIRST_IS_GONE.search(held) else "another process")


def pass_on(source: int, target: int) -> None:
    """Copies from one file descriptor to another to the end, an abort's trace made one line."""
    held, told, last = b"", False, b"\n"
    while True:
        waits = bool(held) and _ABORT not in held
        if waits and not select.select([source], [], [], _PATIENCE)[0]:
            os.write(target, held)
            held = b""
            continue
        chunk = os.read(source, 1 << 16)
        if not chunk:
            break
        if not held:
            head = _HEAD.search(chunk)
            shown = chunk[: head.start()] if head else chunk
            told = told or _TOLD in shown
            last = shown[-1:] or last
            os.write(target, shown)
            chunk = chunk[len(shown) :]
        held += chunk
    if _ABORT not in held:
        os.write(target, held)
    elif not told:
        line = _why(held).encode() + b"\n"
        os.write(target, line if last == b"\n" else b"\n" + line)  # a progress bar stands there


if __name__ == "__main__":
    # What ends the process ends this too, later: when there is no more to read.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pass_on(sys.stdin.fileno(), sys.stderr.fileno())
