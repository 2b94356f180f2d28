"""A CNN whose result attends to both elements: plain torch layers."""

import itertools

import torch
from torch import nn

from tests.references.structures import Structures


class QSNV2(nn.Module):
    """Reads both elements [B, 2], positions [B, 2, 3] and canvases [B, 10, 32, 32]."""

    def __init__(
        self,
        channels,
        element_embedding,
        convolutions,
        heads,
        distance_hidden,
        hidden,
        dropout,
        max_atomic_number,
    ):
        super().__init__()
        self.channels = list(channels)
        widths = (len(channels), *convolutions)
        steps = list(itertools.pairwise(widths))
        self.conv_layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in steps)
        self.bn_layers = nn.ModuleList(nn.BatchNorm2d(width) for width in convolutions)
        width = widths[-1]
        self.element_embedding = nn.Embedding(max_atomic_number + 1, element_embedding)
        self.atom_proj = nn.Linear(element_embedding, width)
        self.cross_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.dist_encoding = nn.Sequential(
            nn.Linear(1, distance_hidden), nn.ReLU(), nn.Linear(distance_hidden, width)
        )
        self.dropout = nn.Dropout(dropout)
        layers, before = [], 3 * width
        for after in hidden:
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU(), self.dropout]
            before = after
        self.fusion = nn.Sequential(*layers, nn.Linear(before, 1))

    def forward(self, z, pos, canvases) -> torch.Tensor:
        """[B, 1]."""
        x = canvases[:, self.channels]
        for convolution, norm in zip(self.conv_layers, self.bn_layers, strict=True):
            x = self.dropout(norm(convolution(x)).relu())
        asking = x.mean(dim=(2, 3))[:, None]  # [B, 1, D]; the image is one pixel by default
        atoms = self.atom_proj(self.element_embedding(z))
        attended, _ = self.cross_attention(asking, atoms, atoms)
        distance = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1, keepdim=True)
        parts = [attended[:, 0], atoms.mean(dim=1), self.dist_encoding(distance)]
        return self.fusion(torch.hstack(parts))


def build(**hyper) -> QSNV2:
    """The network."""
    return QSNV2(**hyper)


def run(module: QSNV2, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.pos.view(-1, 2, 3), structures.canvases)
