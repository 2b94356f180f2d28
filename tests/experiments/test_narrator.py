"""What JAX logs when it ends a process is one line; all else is passed on as it is."""

import os
import threading
import time

import pytest

from experiments import narrator

ABORT = (
    "F1124 20:16:19.978906   21270 client.h:80] Terminating process because the JAX distributed "
    "service detected fatal errors. This most likely indicates that another task died; status:"
)
TRACE = "*** Check failure stack trace: ***\n    @     0x7f6f51440634  absl::LogMessage::Flush()\n"
UNHEALTHY = (
    "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n3\n"
    "The tasks have crashed.\n"
)
WARNING = (
    "E1124 20:16:19.978115   21259 coordination_service.cc:1549] [71] Use error polling to "
    f"propagate the following error to all tasks: {UNHEALTHY}"
)
SILENT = f"{WARNING}{ABORT} {UNHEALTHY}{TRACE}"
GONE = (
    "E1124 20:16:46.574167   21831 coordination_service_agent.cc:289] Polled an error.\n"
    f"{ABORT} UNAVAILABLE: Failed to send RPC to coordination service. Either the leader task was "
    f'preempted.\n:UNKNOWN:Error received from peer  {{grpc_message:"Socket closed"}}\n{TRACE}'
)
NOT_ALL = (
    f"{ABORT} DEADLINE_EXCEEDED: Deadline Exceeded\n\n"
    f"RPC: /xla.coordination.CoordinationService/RegisterTask\n{TRACE}"
)
TWICE = (
    "E1124 21:27:12.146564   11509 coordination_service.cc:518] [13] 1 unexpectedly tried to "
    "connect with a different incarnation. It has likely restarted.\n"
    f"{ABORT} ABORTED: 1 unexpectedly tried to connect with a different incarnation.\n{TRACE}"
)


def passed_on(*chunks: str, pause: float = 0.0) -> str:
    """What the narrator makes of these writes, with a pause after each."""
    source, own = os.pipe()
    shown, target = os.pipe()
    thread = threading.Thread(target=narrator.pass_on, args=(source, target))
    thread.start()
    for chunk in chunks:
        os.write(own, chunk.encode())
        time.sleep(pause)
    os.close(own)
    thread.join(10)
    os.close(target)
    with open(shown, encoding="utf-8", newline="") as file:
        text = file.read()
    os.close(source)
    return text


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (SILENT, "error: process 3 of this run has died or ended with an error"),
        (GONE, "error: process 0 of this run has died or ended with an error"),
        (NOT_ALL, "error: the processes did not come together in time"),
        (TWICE, "error: process 1 of this run has started again, or two have its number"),
    ],
)
def test_an_abort_is_one_line(log, words):
    text = passed_on(log)
    assert text.startswith(words) and text.count("\n") == 1
    # In pieces, after a bar that stands there without an end of line.
    half = len(log) // 2
    bar = "\r 50%|█████     | 1/2"
    assert passed_on("hello\n", bar, log[:half], log[half:], pause=0.02) == f"hello\n{bar}\n{text}"


def test_a_death_is_told_once():
    line = narrator.epitaph("another process") + "\n"
    assert passed_on(line, SILENT, pause=0.02) == line


def test_all_else_is_passed_on(monkeypatch):
    assert passed_on("Traceback\n", "ValueError: é\n") == "Traceback\nValueError: é\n"
    assert passed_on(WARNING) == WARNING
    monkeypatch.setattr(narrator, "_PATIENCE", 0.05)
    assert passed_on(WARNING, "goes on\n", pause=0.3) == f"{WARNING}goes on\n"
    assert passed_on("") == ""
