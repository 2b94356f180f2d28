"""Training and predicting with a reference network, as the published PyTorch code does.

A PyTorch Geometric `DataLoader` over `Data` objects; mean absolute error of the scaled label; Adam
with PyTorch's defaults. Edges are listed beforehand. The canvas is stored drawn, and only where the
network reads it.
"""

import dataclasses
import math
import os
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from qc_jax import canvas
from qc_jax.data.dataset import Task
from qc_jax.train.config import TrainConfig
from tests.references.structures import Structures


@dataclasses.dataclass
class _Listed(Structures):
    """Structures whose edges [2, E] are known."""

    known: torch.Tensor

    def edges(self, cutoff: float = math.inf) -> torch.Tensor:
        """Those, for the one cutoff that the network asks for."""
        return self.known


@dataclasses.dataclass
class _Asked(Structures):
    """Structures that remember for which cutoff they were asked for edges."""

    cutoff: float | None = None

    def edges(self, cutoff: float = math.inf) -> torch.Tensor:
        """The edges."""
        assert self.cutoff in (None, cutoff), "a network that reads edges of several cutoffs"
        self.cutoff = cutoff
        return super().edges(cutoff)


def use_all_cores() -> str:
    """Gives PyTorch a thread for each core, and says so."""
    torch.set_num_threads(os.cpu_count() or 1)
    return f"PyTorch {torch.__version__}, CPU, {torch.get_num_threads()} threads"


class Trainer:
    """One reference network, its data and its optimiser: a `qc_jax.evaluate` `Reference`.

    Attributes:
      parameters: how many numbers are trained.
    """

    def __init__(
        self,
        reference: types.ModuleType,
        hyper: Mapping[str, Any],
        task: Task,
        settings: TrainConfig,
    ):
        """Builds the network and lists its data.

        Args:
          reference: a module of `tests.references`.
          hyper: all hyper-parameters of the model.
          task: of one target; with canvas features where the network reads the canvas.
          settings: batch size, learning rate and seed are read.
        """
        torch.manual_seed(settings.seed)
        self._run = reference.run
        self._module = reference.build(**hyper)
        self._adam = torch.optim.Adam(self._module.parameters(), lr=settings.lr)
        self._batch_size = settings.batch_size
        self._data = list(self._list(task))
        self.parameters = sum(tensor.numel() for tensor in self._module.parameters())

    def train(self, rows: np.ndarray) -> float:
        """One epoch over rows [M] of the dataset, in a random order → the mean loss."""
        self._module.train()
        total = 0.0
        for batch in self._loader(rows, shuffle=True):
            self._adam.zero_grad()
            loss = torch.nn.functional.l1_loss(self._outputs(batch), batch.y)
            loss.backward()
            self._adam.step()
            total += loss.item() * len(batch.y)
        return total / len(rows)

    @torch.no_grad()
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Outputs [M, 1] of rows [M] of the dataset, without dropout."""
        self._module.eval()
        return torch.cat([self._outputs(batch) for batch in self._loader(rows)]).numpy()

    def _loader(self, rows: np.ndarray, shuffle: bool = False) -> DataLoader:
        return DataLoader([self._data[row] for row in rows], self._batch_size, shuffle=shuffle)

    def _outputs(self, batch: Any) -> torch.Tensor:
        drawn = batch.canvas if "canvas" in batch else None
        known = batch.edge_index if "edge_index" in batch else None
        return self._run(self._module, _Listed(batch.z, batch.pos, batch.batch, drawn, known))

    def _list(self, task: Task) -> Iterator[Data]:
        structures = task.dataset.structures
        numbers, positions = np.array(structures.atomic_numbers), np.array(structures.positions)
        labels = torch.tensor(np.asarray(task.scaler.scale(task.dataset.labels)))
        drawn = None
        if structures.canvas_features is not None:
            drawn = np.moveaxis(np.asarray(canvas.render(structures.canvas_features)), -1, 1)
        cutoff: float | None = None
        for row, there in enumerate(numbers > 0):
            fields = {
                "z": torch.tensor(numbers[row, there], dtype=torch.int64),
                "pos": torch.tensor(positions[row, there]),
                "y": labels[row : row + 1],
            }
            picture = None if drawn is None else torch.tensor(drawn[row : row + 1])
            one = (fields["z"], fields["pos"], torch.zeros_like(fields["z"]), picture)
            if row == 0:
                cutoff = self._cutoff(one)
            if cutoff is not None:
                fields["edge_index"] = Structures(*one).edges(cutoff)
            if picture is not None:
                fields["canvas"] = picture
            yield Data(**fields, num_nodes=int(there.sum()))

    @torch.no_grad()
    def _cutoff(self, one: tuple[Any, ...]) -> float | None:
        """The one for which the network asks for edges; None where it never does."""
        asked = _Asked(*one)
        self._module.eval()
        self._run(self._module, asked)
        return asked.cutoff
