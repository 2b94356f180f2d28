"""An MLP of each channel's statistics, both elements and the bond length: plain torch layers."""

import torch
from torch import nn

from tests.references.structures import Structures


def statistics(canvases, channels) -> torch.Tensor:
    """[B, C, 4]: mean, standard deviation, maximum and minimum of a channel's pixels."""
    chosen = canvases if list(channels) == [*range(10)] else canvases[:, list(channels)]
    pixels = chosen.flatten(2)
    return torch.stack([pixels.mean(-1), pixels.std(-1), pixels.amax(-1), pixels.amin(-1)], dim=-1)


class TabularMLP(nn.Module):
    """Reads both elements [B, 2], positions [B, 2, 3] and canvases."""

    def __init__(self, channels, element_embedding, hidden, dropout, max_atomic_number):
        super().__init__()
        self.channels = channels
        self.element_embedding = nn.Embedding(max_atomic_number + 1, element_embedding)
        layers, width = [], 4 * len(channels) + 2 * element_embedding + 1
        for next_width in hidden:
            layers += [
                nn.Linear(width, next_width),
                nn.LayerNorm(next_width),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
            width = next_width
        self.mlp = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, z, pos, canvases) -> torch.Tensor:
        """[B, 1]."""
        mean, deviation, largest, least = statistics(canvases, self.channels).unbind(-1)
        first, second = self.element_embedding(z).unbind(1)
        far = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1, keepdim=True)
        return self.mlp(torch.hstack([mean, deviation, largest, least, first, second, far]))


def build(channels, element_embedding, hidden, dropout, max_atomic_number, **_) -> TabularMLP:
    """The network."""
    return TabularMLP(channels, element_embedding, hidden, dropout, max_atomic_number)


def run(module: TabularMLP, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.pos.view(-1, 2, 3), structures.canvases)
