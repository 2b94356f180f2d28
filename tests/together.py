"""Starts the processes of a distributed run on this machine."""

import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.conftest import SCRIPT_ENVIRONMENT


class Ended(NamedTuple):
    """What a process left."""

    returncode: int
    stdout: str
    stderr: str


class Together:
    """Processes with two devices each that run `python ARGUMENTS`, their output in files.

    In the arguments, and in environment variables of their own, {process}, {processes} and
    {coordinator} are replaced.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *arguments: object,
        processes: int = 2,
        env: Mapping[str, str] = MappingProxyType({}),
    ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            coordinator = f"127.0.0.1:{free.getsockname()[1]}"
        folder.mkdir(exist_ok=True, parents=True)
        self._folder = folder
        flags = os.environ.get("XLA_FLAGS", "")
        devices = {"XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2"}
        self.processes = []
        for process in range(processes):
            words = {"process": process, "processes": processes, "coordinator": coordinator}
            own = {name: text.format(**words) for name, text in env.items()}
            with (
                open(folder / f"out{process}", "w") as out,
                open(folder / f"err{process}", "w") as err,
            ):
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, *(str(each).format(**words) for each in arguments)],
                        stdout=out,
                        stderr=err,
                        env=os.environ | SCRIPT_ENVIRONMENT | devices | own,
                    )
                )

    def wait(self, timeout: float = 300) -> list[Ended]:
        """What each left; those that take longer than `timeout` seconds are killed."""
        try:
            for process in self.processes:
                process.wait(timeout)
        finally:
            for process in self.processes:
                process.kill()
        return [
            Ended(
                process.wait(),
                (self._folder / f"out{number}").read_text(),
                (self._folder / f"err{number}").read_text(),
            )
            for number, process in enumerate(self.processes)
        ]
