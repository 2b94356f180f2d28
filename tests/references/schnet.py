"""SchNet of PyTorch Geometric; its elements go to 99."""

import torch
from torch_geometric.nn import SchNet

from tests.references.structures import Structures


def build(hidden, filters, interactions, gaussians, cutoff, readout, **_) -> SchNet:
    """The network."""
    return SchNet(
        hidden_channels=hidden,
        num_filters=filters,
        num_interactions=interactions,
        num_gaussians=gaussians,
        cutoff=cutoff,
        readout=readout,
        interaction_graph=lambda *_: None,  # `run` sets it
    )


def run(module: SchNet, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.cutoff)
    module.interaction_graph = lambda *_: (edges, structures.lengths(edges))
    return module(structures.z, structures.pos, structures.batch)
