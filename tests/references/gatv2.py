"""Embedding, PyTorch Geometric's GATv2Conv with ReLU and dropout, mean pooling, a linear layer.

With `edge_features='distance'` Gaussians of the distance are edge features, and attention is cut
off smoothly.
"""

import math

import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, global_mean_pool
from torch_geometric.utils import softmax

from tests.references.structures import Structures


class Smooth(GATv2Conv):
    """The last of an edge's features is the logarithm of what its attention is multiplied by."""

    def edge_update(self, x_j, x_i, edge_attr, index, ptr, dim_size) -> torch.Tensor:
        """[E, heads] attention."""
        features, smooth = edge_attr[:, :-1], edge_attr[:, -1:]
        met = x_i + x_j + self.lin_edge(features).view(-1, self.heads, self.out_channels)
        scores = (nn.functional.leaky_relu(met, self.negative_slope) * self.att).sum(-1)
        attention = softmax(scores + smooth, index, ptr, dim_size)
        return nn.functional.dropout(attention, self.dropout, self.training)


class GATv2(nn.Module):
    """Reads elements, edges [2, E], and features of the edges."""

    def __init__(self, hidden, layers, heads, dropout, max_atomic_number, convolution, **edges):
        super().__init__()
        self.embedding = nn.Embedding(max_atomic_number + 1, hidden)
        self.convs = nn.ModuleList(
            convolution(hidden, hidden, heads=heads, concat=False, dropout=dropout, **edges)
            for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden, 1)
        self.gaussians, self.cutoff = 0, math.inf

    def forward(self, z, batch, edges, features=None) -> torch.Tensor:
        """[B, 1]."""
        h = self.embedding(z)
        for conv in self.convs:
            h = self.dropout(torch.relu(conv(h, edges, features)))
        return self.fc(global_mean_pool(h, batch))


def build(
    hidden, layers, heads, dropout, edge_features, gaussians, cutoff, max_atomic_number, **_
) -> GATv2:
    """The network."""
    sizes = (hidden, layers, heads, dropout, max_atomic_number)
    if edge_features == "none":
        return GATv2(*sizes, GATv2Conv)
    module = GATv2(*sizes, Smooth, edge_dim=gaussians, fill_value=0.0)
    module.gaussians, module.cutoff = gaussians, cutoff
    return module


def run(module: GATv2, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.cutoff)
    features = None
    if module.gaussians:
        far = structures.lengths(edges)
        centres = torch.linspace(0, module.cutoff, module.gaussians)
        radial = torch.exp(-0.5 * ((far[:, None] - centres) / (centres[1] - centres[0])) ** 2)
        smooth = torch.log((torch.cos(math.pi * far / module.cutoff) + 1) / 2)
        features = torch.cat([radial, smooth[:, None]], dim=1)
    return module(structures.z, structures.batch, edges, features)
