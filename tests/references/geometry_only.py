"""Embeddings in residual layers, the bond length, an MLP: plain torch layers."""

import torch
from torch import nn

from tests.references.structures import Structures


class GeometryOnly(nn.Module):
    """Reads both elements [B, 2] and positions [B, 2, 3]."""

    def __init__(self, hidden, layers, dropout, max_atomic_number):
        super().__init__()
        self.element_embedding = nn.Embedding(max_atomic_number + 1, hidden)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout)
            )
            for _ in range(layers)
        )
        self.dist_proj = nn.Linear(1, hidden)
        self.head = nn.Sequential(
            nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, z, pos) -> torch.Tensor:
        """[B, 1]."""
        first, second = self.element_embedding(z).unbind(1)
        for layer in self.layers:
            first = first + layer(first)
            second = second + layer(second)
        far = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1, keepdim=True)
        return self.head(torch.hstack([first, second, self.dist_proj(far)]))


def build(hidden, layers, dropout, max_atomic_number, **_) -> GeometryOnly:
    """The network."""
    return GeometryOnly(hidden, layers, dropout, max_atomic_number)


def run(module: GeometryOnly, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.pos.view(-1, 2, 3))
