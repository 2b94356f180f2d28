"""Kills a grid again and again at random moments, and compares what comes of it.

    python -m tests.experiments.kill_grid --kills=20 --workdir=/tmp/killed

trains a small sweep undisturbed, then a second time with SIGKILLs, each followed by the same
command again, and exits with 1 unless results and weights are equal to the last bit.
"""

import argparse
import csv
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

from qc_jax.runs import building
from qc_jax.runs.loading import restore
from qc_jax.runs.workdir import Workdir

SWEEP = (
    "--config.early_stopping_patience=100",
    "--config.sweep.target=e_homo_ev,e_lumo_ev,softness_evinv",
    "--config.sweep.seed=42,123",
    "--config.sweep.stack=3",
)
# What the clock and the devices' number decide, not the training.
ASIDE = ("seconds", "versions")


def command(workdir: pathlib.Path, flags: tuple[str, ...]) -> list[str]:
    card = "--config=gcn:quick"
    return [sys.executable, "-m", "experiments.train", card, f"--workdir={workdir}", *SWEEP, *flags]


def lines(workdir: pathlib.Path) -> list[dict[str, str]]:
    """results.csv without times and devices."""
    with open(workdir / "results.csv", newline="", encoding="utf-8") as file:
        return [
            {key: value for key, value in line.items() if key not in ASIDE}
            for line in csv.DictReader(file)
        ]


def epochs(workdir: pathlib.Path) -> float:
    """Of all trainings, those included that no checkpoint covers."""
    return sum(path.read_bytes().count(b"\n") for path in workdir.glob("trainings/*/metrics.jsonl"))


def weights(workdir: pathlib.Path) -> list[np.ndarray]:
    """Of every training, in the order of their names."""
    leaves = []
    for path in sorted((workdir / "trainings").iterdir()):
        run = building.from_config(Workdir(path).config())
        state = restore(Workdir(path), run.model, run.config)
        leaves += map(np.asarray, jax.tree.leaves(state))
    return leaves


def kill_and_compare(
    folder: pathlib.Path, kills: int, flags: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> int:
    """How many of the kills met a training that ran.

    Raises:
      AssertionError: the results differ.
    """
    whole, killed, rng = folder / "whole", folder / "killed", random.Random(0)
    subprocess.run(command(whole, flags), check=True, capture_output=True, env=env)
    print(f"undisturbed: {len(lines(whole))} results")
    met, starting = 0, 5.0
    for number in range(kills):
        process = subprocess.Popen(
            command(killed, flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
        )
        start, before = time.monotonic(), epochs(killed)
        # From before the first epoch until some are done: whenever it may be.
        moment = rng.uniform(0.5, 1.5) * starting
        while process.poll() is None and time.monotonic() - start < moment:
            time.sleep(0.01)
            if epochs(killed) > before > 0:
                starting, before = time.monotonic() - start, math.inf
        if process.poll() is None:
            met += 1
            os.kill(process.pid, signal.SIGKILL)
            if epochs(killed) <= before < math.inf:  # a machine that is busy now
                starting *= 1.3
        process.wait()
        ended = len(lines(killed)) if (killed / "results.csv").exists() else 0
        words = "killed" if process.returncode else "ended before"
        print(
            f"{number + 1}: {words} after {time.monotonic() - start:.1f} s, "
            f"{epochs(killed)} epochs and {ended} results there",
            flush=True,
        )
    done = subprocess.run(command(killed, flags), capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert lines(killed) == lines(whole)
    for one, other in zip(weights(killed), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    print(f"{met} kills of {kills} met the run; results and weights are equal to the last bit")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--workdir", type=pathlib.Path, help="a new directory; else a temporary one"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kill_and_compare(
            arguments.workdir or pathlib.Path(temporary),
            arguments.kills,
            ("--config.epochs=250", "--config.checkpoint_every=3"),
        )


if __name__ == "__main__":
    main()
