"""Patches and atoms that attend to each other, mixed by two gates: plain torch layers."""

import torch
from torch import nn

from tests.references.structures import Structures


def feed_forward(width: int, wide: int, dropout: float) -> nn.Sequential:
    """Linear, GELU, dropout, linear."""
    return nn.Sequential(
        nn.Linear(width, wide), nn.GELU(), nn.Dropout(dropout), nn.Linear(wide, width)
    )


class Cross(nn.Module):
    """First one modality asks the other, then the other asks what has become of the first."""

    def __init__(self, width, heads, wide, dropout):
        super().__init__()
        for name in ("attn_a_to_b", "attn_b_to_a"):
            attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
            self.add_module(name, attention)
        for letter in "ab":
            self.add_module(f"norm_{letter}", nn.LayerNorm(width))
            self.add_module(f"ffn_{letter}", feed_forward(width, wide, dropout))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of both, [B, N, D] and [B, M, D]."""
        a = self.norm_a(a + self.attn_a_to_b(a, b, b, need_weights=False)[0])
        a = a + self.ffn_a(a)
        b = self.norm_b(b + self.attn_b_to_a(b, a, a, need_weights=False)[0])
        return a, b + self.ffn_b(b)


class Gated(nn.Module):
    """A sum of both, each projected, with weights that a small network finds."""

    def __init__(self, width):
        super().__init__()
        self.gate_net = nn.Sequential(
            nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 2), nn.Softmax(dim=1)
        )
        self.proj_a = nn.Linear(width, width)
        self.proj_b = nn.Linear(width, width)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """[B, D] and [B, D] → [B, D]."""
        first, second = self.gate_net(torch.hstack([a, b])).split(1, dim=1)
        return first * self.proj_a(a) + second * self.proj_b(b)


class MultimodalV2(nn.Module):
    """Reads both elements [B, 2], positions [B, 2, 3] and canvases."""

    def __init__(
        self,
        channels,
        patch,
        hidden,
        heads,
        image_layers,
        cross_layers,
        element_embedding,
        mlp_ratio,
        dropout,
        max_atomic_number,
    ):
        super().__init__()
        self.channels, wide = list(channels), mlp_ratio * hidden
        self.patch_embed = nn.Conv2d(len(channels), hidden, patch, stride=patch)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (32 // patch) ** 2, hidden))
        layer = nn.TransformerEncoderLayer(hidden, heads, wide, dropout, batch_first=True)
        self.img_transformer = nn.TransformerEncoder(
            layer, image_layers, enable_nested_tensor=False
        )
        self.element_embedding = nn.Embedding(max_atomic_number + 1, element_embedding)
        self.atom_proj = nn.Linear(element_embedding + 1, hidden)
        self.cross_attention_layers = nn.ModuleList(
            Cross(hidden, heads, wide, dropout) for _ in range(cross_layers)
        )
        self.gated_fusion = Gated(hidden)
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Linear(hidden // 2, 1),
        )

    def forward(self, z: torch.Tensor, pos: torch.Tensor, canvases: torch.Tensor) -> torch.Tensor:
        """[B, 1]."""
        seen = self.patch_embed(canvases[:, self.channels]).flatten(2).mT + self.pos_embed
        seen = self.img_transformer(seen)
        far = torch.linalg.norm(pos[:, 0] - pos[:, 1], dim=1)[:, None].expand(-1, 2)
        atoms = self.atom_proj(torch.dstack([self.element_embedding(z), far]))
        for layer in self.cross_attention_layers:
            seen, atoms = layer(seen, atoms)
        return self.head(self.gated_fusion(seen.mean(dim=1), atoms.mean(dim=1)))


def build(**hyper: object) -> MultimodalV2:
    """The network with these hyper-parameters."""
    return MultimodalV2(**hyper)


def run(module: MultimodalV2, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    z, pos = structures.z.view(-1, 2), structures.pos.view(-1, 2, 3)
    return module(z, pos, structures.canvases)
