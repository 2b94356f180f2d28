"""What the reference networks read."""

import dataclasses

import numpy as np
import torch


@dataclasses.dataclass
class Structures:
    """B structures with n atoms in all, as PyTorch Geometric wants them.

    Attributes:
      z: [n] atomic numbers.
      pos: [n, 3] Å.
      batch: [n], which structure an atom is of.
      canvases: [B, 10, 32, 32], channels first, or None.
    """

    z: torch.Tensor
    pos: torch.Tensor
    batch: torch.Tensor
    canvases: torch.Tensor | None

    def edges(self, cutoff: float = np.inf) -> torch.Tensor:
        """[2, E] (from, to) between the atoms of each structure within the cutoff (Å)."""
        other = ~torch.eye(len(self.z), dtype=torch.bool)
        near = torch.cdist(self.pos, self.pos) <= cutoff
        return (other & near & (self.batch[:, None] == self.batch)).nonzero().T

    def lengths(self, edges: torch.Tensor) -> torch.Tensor:
        """[E] Å."""
        return (self.pos[edges[0]] - self.pos[edges[1]]).norm(dim=-1)
