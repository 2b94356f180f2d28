"""PyTorch Geometric's SchNet and a ResNet-18 of plain torch layers, fused by an MLP.

The ResNet's layers have torchvision's names; in the published model, and here, they stand in a
Sequential without the last one, so that their weights are called 'resnet.0.weight' and so on.
"""

import itertools

import torch
from torch import nn
from torch_geometric.nn import SchNet, global_mean_pool


class BasicBlock(nn.Module):
    """Two convolutions with batch norm, around which the input goes, projected if need be."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample = None
        if stride > 1 or inside != outside:
            projection = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, C', H', W']."""
        around = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + around)


class ResNet18(nn.Module):
    """Table 1 of arXiv 1512.03385, 18 layers."""

    def __init__(self, channels, widths, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = widths[0]
        for number, width in enumerate(widths, 1):
            first = BasicBlock(inside, width, 1 if number == 1 else 2)
            setattr(self, f"layer{number}", nn.Sequential(first, BasicBlock(width, width, 1)))
            inside = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inside, classes)

    def without_last(self) -> nn.Sequential:
        """Images → features [B, widths[-1], 1, 1]."""
        return nn.Sequential(*list(self.children())[:-1])


class Multimodal(nn.Module):
    """The atoms' mean features beside the image's, and the MLP."""

    def __init__(self, schnet, resnet, fusion, dropout):
        super().__init__()
        self.schnet = schnet
        self.resnet = resnet
        layers = []
        for before, after in itertools.pairwise(fusion):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.fusion_mlp = nn.Sequential(*layers, nn.Linear(fusion[-1], 1))

    def forward(
        self,
        z: torch.Tensor,
        batch: torch.Tensor,
        edges: torch.Tensor,
        lengths: torch.Tensor,
        images: torch.Tensor,
    ) -> torch.Tensor:
        """[B, 1]."""
        gaussians = self.schnet.distance_expansion(lengths)
        h = self.schnet.embedding(z)
        for interaction in self.schnet.interactions:
            h = h + interaction(h, edges, lengths, gaussians)
        features = [global_mean_pool(h, batch), self.resnet(images).flatten(1)]
        return self.fusion_mlp(torch.cat(features, dim=1))


def build(
    channels, widths, hidden, filters, interactions, gaussians, cutoff, fusion, dropout, **_
) -> nn.Module:
    """The published model; torchvision's weights are its initial ones there, random ones here."""
    schnet = SchNet(
        hidden_channels=hidden,
        num_filters=filters,
        num_interactions=interactions,
        num_gaussians=gaussians,
        cutoff=cutoff,
        interaction_graph=lambda *_: None,  # never asked: `run` gives the edges
    )
    resnet = ResNet18(len(channels), widths).without_last()
    module = Multimodal(schnet, resnet, (hidden + widths[-1], *fusion), dropout)
    module.channels, module.cutoff = list(channels), cutoff
    return module


def run(module: nn.Module, structures) -> torch.Tensor:
    """Outputs [B, 1] of pairs with canvases."""
    edges = structures.edges(module.cutoff)
    return module(
        structures.z,
        structures.batch,
        edges,
        structures.lengths(edges),
        structures.canvases[:, module.channels],
    )
