"""Trains on structures that are read one by one, and keeps what was read: see test_program.py.

python -m tests.train.streamed FILE.npz [COORDINATOR PROCESSES PROCESS]
"""

import sys

import jax
import numpy as np

from qc_jax.data import dataset
from qc_jax.data.stream import Stream
from qc_jax.data.table import open_table
from qc_jax.train import hosts, loop
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Callbacks
from tests.train.conftest import Noisy

SETTINGS = TrainConfig(epochs=3, batch_size=32, lr=0.01)
ROWS = 205


def task():
    """Pairs of light elements, and what each of their records holds."""
    table = open_table("ptbp")
    light = np.flatnonzero((table.atomic_numbers < 20).all(axis=1))[:ROWS]
    return dataset.prepare(table.take(light), ("e_homo_ev", "total_energy_ev"), 42)


def main(path: str, coordinator: str = "", processes: str = "1", process: str = "0") -> None:
    """Train, alone or as one of several processes, and write rows, losses and weights."""
    if coordinator:
        hosts.join(coordinator, int(processes), int(process), 60, 120)
    made, read = task(), []
    structures = made.dataset.structures

    def record(row: int) -> dict[str, np.ndarray]:
        read.append(row)
        return {
            "atomic_numbers": np.asarray(structures.atomic_numbers[row]),
            "positions": np.asarray(structures.positions[row]),
        }

    stream = Stream(range(len(made.names)), record, np.asarray(made.dataset.labels), atoms=2)
    rows = []  # those read until each epoch ended
    trained = loop.fit(
        Noisy(),
        made._replace(dataset=stream),
        SETTINGS,
        [Callbacks(lambda line: rows.append(list(read)))],
    )
    weights = jax.tree.leaves(trained.state.best_variables)
    losses = [[line["loss"], line["validation_loss"]] for line in trained.history]
    np.savez(
        path.format(process=process),
        losses=losses,
        weights=np.concatenate([np.ravel(leaf) for leaf in weights]),
        **{f"rows{epoch}": epoch_rows for epoch, epoch_rows in enumerate(rows)},
    )
    if coordinator:
        hosts.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
