"""EGNN in plain PyTorch, edge by edge, after equations 3 to 6 and 8 of arXiv 2102.09844.

Modules are named as in the authors' network for QM9; elements are embedded by their number.
"""

import torch
from torch import nn

from tests.references.structures import Structures

EQUATIONS = True


class Layer(nn.Module):
    """An equivariant layer; with `moves` it also moves the atoms."""

    def __init__(self, hidden, moves):
        super().__init__()
        self.edge_mlp = nn.Sequential(
            nn.Linear(2 * hidden + 1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.att_mlp = nn.Sequential(nn.Linear(hidden, 1), nn.Sigmoid())
        self.node_mlp = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.coord_mlp = None
        if moves:
            self.coord_mlp = nn.Sequential(
                nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1, bias=False)
            )

    def forward(self, h, x, edges) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [n, H], positions [n, 3] and edges [2, E] → both anew."""
        j, i = edges  # from j to i
        apart = x[i] - x[j]
        squared = (apart**2).sum(dim=1, keepdim=True)
        message = self.edge_mlp(torch.cat([h[i], h[j], squared], dim=1))  # equation 3
        if self.coord_mlp is not None:  # equation 4, with C the mean and normed differences
            step = apart / (squared.sqrt() + 1) * self.coord_mlp(message)
            neighbors = torch.bincount(i, minlength=len(x)).clamp(min=1)[:, None]
            x = x + torch.zeros_like(x).index_add(0, i, step) / neighbors
        message = self.att_mlp(message) * message  # equation 8
        gathered = torch.zeros_like(h).index_add(0, i, message)  # equation 5
        return h + self.node_mlp(torch.cat([h, gathered], dim=1)), x  # equation 6


class EGNN(nn.Module):
    """Reads elements, positions and edges [2, E]."""

    def __init__(self, hidden, layers, move_atoms, max_atomic_number):
        super().__init__()
        self.embedding = nn.Embedding(max_atomic_number + 1, hidden)
        for k in range(layers):
            self.add_module(f"gcl_{k}", Layer(hidden, moves=move_atoms and k < layers - 1))
        self.layers = layers
        self.node_dec = nn.Sequential(
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.graph_dec = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, z, x, batch, edges) -> torch.Tensor:
        """[B, 1]."""
        h = self.embedding(z)
        for k in range(self.layers):
            h, x = getattr(self, f"gcl_{k}")(h, x, edges)
        h = self.node_dec(h)
        pooled = torch.zeros(int(batch.max()) + 1, h.shape[1]).index_add(0, batch, h)
        return self.graph_dec(pooled)


def build(hidden, layers, move_atoms, max_atomic_number, **_) -> EGNN:
    """The network."""
    return EGNN(hidden, layers, move_atoms, max_atomic_number)


def run(module: EGNN, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z, structures.pos, structures.batch, structures.edges())
