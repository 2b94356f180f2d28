"""A CNN whose convolutions are modulated by elements and distance: plain torch layers."""

import itertools

import torch
from torch import nn

from tests.references.structures import Structures


class FiLMCNN(nn.Module):
    """Reads both elements [B, 2], positions [B, 2, 3] and canvases [B, 10, 32, 32]."""

    def __init__(
        self, channels, element_embedding, convolutions, hidden, dropout, max_atomic_number
    ):
        super().__init__()
        self.channels = list(channels)
        told, widths = 2 * element_embedding + 1, (len(channels), *convolutions)
        steps = list(itertools.pairwise(widths))
        self.element_embedding = nn.Embedding(max_atomic_number + 1, element_embedding)
        self.conv_layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in steps)
        self.bn_layers = nn.ModuleList(nn.BatchNorm2d(width) for width in convolutions)
        self.film_gamma = nn.ModuleList(nn.Linear(told, width) for width in convolutions)
        self.film_beta = nn.ModuleList(nn.Linear(told, width) for width in convolutions)
        self.dropout = nn.Dropout(dropout)

        side = -(-32 // 2 ** len(convolutions))
        first, *others = hidden
        head = [nn.Flatten(), nn.Linear(widths[-1] * side**2, first), nn.LayerNorm(first)]
        head += [nn.ReLU(), nn.Dropout(dropout)]
        for width in others:
            head += [nn.Linear(first, width), nn.ReLU()]
            first = width
        self.head = nn.Sequential(*head, nn.Linear(first, 1))

    def forward(self, z, pos, canvases) -> torch.Tensor:
        """[B, 1]."""
        distance = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1, keepdim=True)
        told = torch.hstack([self.element_embedding(z).flatten(1), distance])
        x = canvases[:, self.channels]
        layers = zip(self.conv_layers, self.bn_layers, self.film_gamma, self.film_beta, strict=True)
        for convolution, norm, gamma, beta in layers:
            x = torch.einsum("bchw,bc->bchw", norm(convolution(x)), gamma(told))
            x = self.dropout((x + beta(told)[..., None, None]).relu())
        return self.head(x)


def build(**hyper) -> FiLMCNN:
    """The network."""
    return FiLMCNN(**hyper)


def run(module: FiLMCNN, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.pos.view(-1, 2, 3), structures.canvases)
