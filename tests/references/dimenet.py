"""DimeNet++ of PyTorch Geometric, its neighbours and triplets listed in plain torch."""

import torch
from torch_geometric.nn import DimeNetPlusPlus
from torch_geometric.nn.models import dimenet

from tests.references.structures import Structures


def build(
    hidden,
    blocks,
    int_emb_size,
    basis_emb_size,
    out_emb,
    num_spherical,
    num_radial,
    cutoff,
    envelope_exponent,
    before_skip,
    after_skip,
    output_layers,
    **_,
) -> DimeNetPlusPlus:
    """The network; its elements go to 94."""
    return DimeNetPlusPlus(
        hidden_channels=hidden,
        out_channels=1,
        num_blocks=blocks,
        int_emb_size=int_emb_size,
        basis_emb_size=basis_emb_size,
        out_emb_channels=out_emb,
        num_spherical=num_spherical,
        num_radial=num_radial,
        cutoff=cutoff,
        envelope_exponent=envelope_exponent,
        num_before_skip=before_skip,
        num_after_skip=after_skip,
        num_output_layers=output_layers,
    )


def triplets(edges: torch.Tensor, num_nodes: int) -> tuple[torch.Tensor, ...]:
    """(i, j) of the edges j → i; (i, j, k) and the edges k → j and j → i of k → j → i, k ≠ i."""
    j, i = edges
    into = torch.bincount(i, minlength=num_nodes)  # how many edges lead to each atom
    by_target = torch.argsort(i, stable=True)
    first = torch.cumsum(into, 0) - into  # of an atom's edges, in that order
    each = into[j]
    ji = torch.repeat_interleave(torch.arange(len(j)), each)
    place = torch.arange(len(ji)) - torch.repeat_interleave(torch.cumsum(each, 0) - each, each)
    kj = by_target[first[j[ji]] + place]
    real = j[kj] != i[ji]
    kj, ji = kj[real], ji[real]
    return i, j, i[ji], j[ji], j[kj], kj, ji


def run(module: DimeNetPlusPlus, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.cutoff)
    dimenet.radius_graph = lambda *_, **__: edges
    dimenet.triplets = triplets
    return module(structures.z, structures.pos, structures.batch)
