"""FAENet of its authors' package, its tables lengthened as in QuantumCanvas.

    pip install 'SQLAlchemy<2.1' mendeleev && pip install --no-deps faenet==0.1.3

The package's GraphNorm is over all atoms that it is given, so structures are evaluated one at a
time, averaged over the frames of the package's 'all'. In training, which is only timed, they are
one batch without frames, as published.
"""

import sys
import types

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.utils import scatter

from tests.references.structures import Structures

if "torch_scatter" not in sys.modules:  # compiling it takes long, and only its sum is needed
    sys.modules["torch_scatter"] = types.ModuleType("torch_scatter")
    sys.modules["torch_scatter"].scatter = scatter  # type: ignore[attr-defined]

from faenet.frame_averaging import frame_averaging_3D
from faenet.model import FAENet


def build(
    hidden,
    filters,
    interactions,
    gaussians,
    tag_hidden,
    pg_hidden,
    cutoff,
    graph_norm,
    frame_averaging,
    max_atomic_number,
    **_,
) -> FAENet:
    """The network."""
    module = FAENet(
        cutoff=cutoff,
        act="silu",
        preprocess="base_preprocess",
        num_gaussians=gaussians,
        num_filters=filters,
        hidden_channels=hidden,
        tag_hidden_channels=tag_hidden,
        pg_hidden_channels=pg_hidden,
        phys_embeds=False,
        num_interactions=interactions,
        mp_type="base",
        graph_norm=graph_norm,
        second_layer_MLP=False,
        skip_co="add",
    )
    block = module.embed_block
    block.emb = nn.Embedding(max_atomic_number + 1, block.emb.embedding_dim)
    # As many rows as there are periods and groups are too few, since they count from 1.
    block.period_embedding = nn.Embedding(block.period_embedding.num_embeddings + 10, pg_hidden)
    block.group_embedding = nn.Embedding(block.group_embedding.num_embeddings + 10, pg_hidden)
    module.frame_averaging = frame_averaging
    return module


def run(module: FAENet, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    z, pos, batch = structures.z, structures.pos, structures.batch
    each = [batch == b for b in batch.unique()]
    positions = [pos]
    if module.frame_averaging != "none" and not module.training:
        framed = zip(*(frame_averaging_3D(pos[own], None, "all")[0] for own in each), strict=True)
        positions = [torch.cat(parts) for parts in framed]
    edges = structures.edges(module.cutoff)

    def energies(pos: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
        """Of the structures that the `atoms` [n] bool, contiguous, belong to."""
        first = int(atoms.nonzero()[0])
        data = Data(
            atomic_numbers=z[atoms],
            pos=pos[atoms],
            batch=batch[atoms] - batch[first],
            edge_index=edges[:, atoms[edges[0]]] - first,
            tags=torch.zeros_like(z[atoms]),
        )
        return module.energy_forward(data, preproc=False)["energy"]

    together = [torch.ones_like(batch, dtype=torch.bool)] if module.training else each
    frames = [torch.cat([energies(pos, atoms) for atoms in together]) for pos in positions]
    return sum(frames) / len(frames)
