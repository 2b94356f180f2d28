"""Convolutions and an MLP that is told the atom numbers in each layer: plain torch layers."""

import torch
from torch import nn

from tests.references.structures import Structures


class QuantumShellNet(nn.Module):
    """Reads both elements [B, 2] and canvases [B, 10, 32, 32]."""

    def __init__(self, channels, convolutions, hidden, dropout):
        super().__init__()
        self.channels = list(channels)
        self.depth = len(convolutions), len(hidden) + 1
        before, side = len(channels), 32
        for i, after in enumerate(convolutions, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, 3, stride=2, padding=1))
            before, side = after, (side + 1) // 2
        before *= side**2
        for i, after in enumerate((*hidden, 1), start=1):
            setattr(self, f"fc{i}", nn.Linear(before, after))
            before = after + 3
        self.dropout = nn.Dropout(dropout)

    def forward(self, z, canvases) -> torch.Tensor:
        """[B, 1]."""
        mass, protons = 2.0 * z.sum(dim=1), z.sum(dim=1)
        numbers = torch.stack([mass, protons, mass - protons], dim=1).to(canvases.dtype)
        x = canvases[:, self.channels]
        convolutions, layers = self.depth
        for i in range(1, convolutions + 1):
            x = self.dropout(getattr(self, f"conv{i}")(x).relu())
        x = self.fc1(x.flatten(1))
        for i in range(2, layers + 1):
            x = torch.cat([self.dropout(x.relu()), numbers], dim=1)
            x = getattr(self, f"fc{i}")(x)
        return x


def build(**hyper) -> QuantumShellNet:
    """The network."""
    return QuantumShellNet(**hyper)


def run(module: QuantumShellNet, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.canvases)
