"""Patch convolution, class token, positional vectors, PyTorch's encoder, norm and linear layer."""

import torch
from torch import nn

from tests.references.structures import Structures


class ViT(nn.Module):
    """Reads some channels of canvases, the class token's last state."""

    def __init__(self, channels, patch, hidden, heads, layers, mlp_ratio, dropout):
        super().__init__()
        self.channels = list(channels)
        self.patch_embed = nn.Conv2d(len(channels), hidden, patch, stride=patch)
        self.pos_embed = nn.Parameter(torch.randn(1, (32 // patch) ** 2 + 1, hidden))
        self.cls_token = nn.Parameter(torch.randn(1, 1, hidden))
        layer = nn.TransformerEncoderLayer(
            hidden, heads, mlp_ratio * hidden, dropout, batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 1))

    def forward(self, canvases: torch.Tensor) -> torch.Tensor:
        """[B, 10, 32, 32] → [B, 1]."""
        patches = self.patch_embed(canvases[:, self.channels]).flatten(2).mT
        first = self.cls_token.expand(len(canvases), -1, -1)
        tokens = torch.cat([first, patches], dim=1) + self.pos_embed
        return self.head(self.transformer(tokens)[:, 0])


def build(**hyper: object) -> ViT:
    """The network with these hyper-parameters."""
    return ViT(**hyper)


def run(module: ViT, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    return module(structures.canvases)
