"""Embedding, PyTorch Geometric's GCNConv with ReLU, mean pooling, and an MLP with dropout.

With `edge_features='distance'` the edges are weighted by a function of the distance.
"""

import math

import torch
from torch import nn
from torch_geometric.nn import GCNConv, global_mean_pool

from tests.references.structures import Structures


class GCN(nn.Module):
    """Reads elements and edges [2, E], and weights [E] of the edges."""

    def __init__(self, hidden, layers, dropout, max_atomic_number):
        super().__init__()
        self.embedding = nn.Embedding(max_atomic_number + 1, hidden)
        self.convs = nn.ModuleList(GCNConv(hidden, hidden) for _ in range(layers))
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, hidden // 4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 4, 1),
        )
        self.cutoff = math.inf

    def forward(self, z, batch, edges, weights=None) -> torch.Tensor:
        """[B, 1]."""
        h = self.embedding(z)
        for conv in self.convs:
            h = torch.relu(conv(h, edges, weights))
        return self.head(global_mean_pool(h, batch))


def build(hidden, layers, dropout, edge_features, gaussians, cutoff, max_atomic_number, **_) -> GCN:
    """The network."""
    module = GCN(hidden, layers, dropout, max_atomic_number)
    if edge_features == "distance":
        module.edge_weight = nn.Linear(gaussians, 1)
        module.cutoff = cutoff
    return module


def run(module: GCN, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.cutoff)
    weights = None
    if hasattr(module, "edge_weight"):
        far = structures.lengths(edges)
        centres = torch.linspace(0, module.cutoff, module.edge_weight.in_features)
        radial = torch.exp(-0.5 * ((far[:, None] - centres) / (centres[1] - centres[0])) ** 2)
        smooth = (torch.cos(math.pi * far / module.cutoff) + 1) / 2
        weights = torch.sigmoid(module.edge_weight(radial))[:, 0] * smooth
    return module(structures.z, structures.batch, edges, weights)
