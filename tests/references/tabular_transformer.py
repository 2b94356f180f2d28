"""A transformer of channel and atom tokens: plain torch layers."""

import torch
from torch import nn

from tests.references.structures import Structures
from tests.references.tabular_mlp import statistics


class TabularTransformer(nn.Module):
    """Reads both elements [B, 2], positions [B, 2, 3] and canvases."""

    def __init__(
        self,
        channels,
        element_embedding,
        hidden,
        heads,
        layers,
        mlp_ratio,
        dropout,
        max_atomic_number,
    ):
        super().__init__()
        self.channels = channels
        self.element_embedding = nn.Embedding(max_atomic_number + 1, element_embedding)
        self.channel_proj = nn.Linear(4, hidden)
        self.atom_proj = nn.Linear(element_embedding + 1, hidden)
        self.cls_token = nn.Parameter(torch.randn(1, 1, hidden))
        self.pos_encoding = nn.Parameter(torch.randn(1, len(channels) + 3, hidden))
        layer = nn.TransformerEncoderLayer(
            hidden, heads, mlp_ratio * hidden, dropout, batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers)
        self.head = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )

    def forward(self, z, pos, canvases) -> torch.Tensor:
        """[B, 1]."""
        far = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1)
        atoms = torch.dstack([self.element_embedding(z), far[:, None].expand(-1, 2)])
        tokens = [
            self.cls_token.expand(len(z), -1, -1),
            self.channel_proj(statistics(canvases, self.channels)),
            self.atom_proj(atoms),
        ]
        return self.head(self.transformer(torch.hstack(tokens) + self.pos_encoding)[:, 0])


def build(**hyper) -> TabularTransformer:
    """The network."""
    return TabularTransformer(**hyper)


def run(module: TabularTransformer, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.z.view(-1, 2), structures.pos.view(-1, 2, 3), structures.canvases)
