"""GotenNet in plain PyTorch, edge by edge, after its equations (Aykent and Xia, ICLR 2025).

Module paths are those of the authors' package `gotennet` with the linear layer that QuantumCanvas
puts behind it, so that such a checkpoint names its weights as here; tensors that the package stores
twice are stored twice. At the defaults it is the published network: degree 1, attention times the
root of the number of edges, mean over the atoms. The authors' own trainings have degree 2 and leave
that root out; both are hyper-parameters here.

Known from the package: every atom is a neighbour of its own at distance zero, in all but the start
of the features; the product with the refined edges has no activation. Left out are options that
neither training uses (norms inside the layers, gates, one coefficient for all degrees) and the
limit of 32 neighbours. The heads of the authors' own trainings are not here.

Tensors of degree 2 are written as the symmetric matrices √(3/2) (u uᵀ − |u|²/3): the same space and
the same inner products as of five harmonics, so that weights mean the same.
"""

import math

import torch
from torch import nn
from torch.nn import functional
from torch_geometric.utils import scatter, softmax

from tests.references.structures import Structures

EQUATIONS = True


class Dense(nn.Linear):
    """A linear layer, perhaps with a norm and SiLU behind it."""

    def __init__(self, inside, outside, active=False, norm=False, bias=True):
        super().__init__(inside, outside, bias)
        nn.init.xavier_uniform_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)
        self.norm = nn.LayerNorm(outside) if norm else nn.Identity()
        self.active = active

    def forward(self, x) -> torch.Tensor:
        """[..., inside] → [..., outside]."""
        x = self.norm(super().forward(x))
        return functional.silu(x) if self.active else x


class MLP(nn.Module):
    """Layers one after the other, under two names as in the package."""

    def __init__(self, *layers):
        super().__init__()
        self.dense_layers = nn.ModuleList(layers)
        self.layers = nn.Sequential(*layers)

    def forward(self, x) -> torch.Tensor:
        """[..., inside] → [..., outside]."""
        return self.layers(x)


def smooth(far: torch.Tensor, cutoff: float) -> torch.Tensor:
    """[E, 1], from 1 at zero to 0 at the cutoff."""
    return 0.5 * (torch.cos(math.pi * far / cutoff) + 1)[:, None]


class RadialBasis(nn.Module):
    """Gaussians of e^(−5 d/cutoff), smoothly cut off."""

    def __init__(self, count, cutoff):
        super().__init__()
        least = math.exp(-cutoff)
        self.register_buffer("means", torch.linspace(least, 1, count))
        self.register_buffer("betas", torch.full((count,), (2 / count * (1 - least)) ** -2))
        self.cutoff = cutoff

    def forward(self, far) -> torch.Tensor:
        """[E] → [E, count]."""
        near = torch.exp(-5 / self.cutoff * far)[:, None]
        return smooth(far, self.cutoff) * torch.exp(-self.betas * (near - self.means) ** 2)


def tensors(units: torch.Tensor, most: int) -> list[torch.Tensor]:
    """[E, 3] and [E, 9] of unit vectors, or of zeros."""
    found = [units]
    if most > 1:
        square = units[:, :, None] * units[:, None, :]
        trace = torch.eye(3) * (units**2).sum(dim=1)[:, None, None] / 3
        found.append(math.sqrt(1.5) * (square - trace).flatten(1))
    return found


class NodeInit(nn.Module):
    """Features of an element and of those around it, equations 1 and 2."""

    def __init__(self, hidden, radial, rows):
        super().__init__()
        self.A_nbr = nn.Embedding(rows, hidden)
        self.W_ndp = MLP(Dense(radial, hidden))
        self.W_nrd_nru = MLP(
            Dense(2 * hidden, hidden, active=True, norm=True), Dense(hidden, hidden)
        )

    def forward(self, z, h, edges, basis, cut) -> torch.Tensor:
        """[n, H]."""
        real = edges[0] != edges[1]
        (j, i), filters = edges[:, real], self.W_ndp(basis[real]) * cut[real]
        around = scatter(self.A_nbr(z)[j] * filters, i, dim=0, dim_size=len(z))
        return self.W_nrd_nru(torch.cat([h, around], dim=1))


class EdgeInit(nn.Module):
    """Features of an edge, equation 3."""

    def __init__(self, hidden, radial):
        super().__init__()
        self.W_erp = Dense(radial, hidden)

    def forward(self, h, edges, basis) -> torch.Tensor:
        """[E, H]."""
        return (h[edges[1]] + h[edges[0]]) * self.W_erp(basis)


class GATA(nn.Module):
    """Geometry-aware tensor attention, and the hierarchical refinement of the edges."""

    def __init__(self, hidden, heads, degree, dropout, last):
        super().__init__()
        wide = (1 + 2 * degree) * hidden

        def gamma() -> nn.Sequential:
            return nn.Sequential(Dense(hidden, hidden, active=True), Dense(hidden, wide))

        self.gamma_s = gamma()
        self.W_q = Dense(hidden, hidden)
        self.W_k = Dense(hidden, hidden)
        self.gamma_v = gamma()
        self.W_re = Dense(hidden, hidden, active=True)
        if not last:
            self.gamma_t = MLP(Dense(hidden, hidden, active=True))
            self.W_vq = Dense(hidden, hidden, bias=False)
            self.W_vk = nn.ModuleList(Dense(hidden, hidden, bias=False) for _ in range(degree))
        self.W_rs = Dense(hidden, wide)
        self.hidden, self.heads, self.degree = hidden, heads, degree
        self.dropout, self.last = dropout, last

    def forward(self, h, x, t, edges, directions, cut, scale) -> tuple:
        """h [n, H], x of each degree [n, ·, H] and t [E, H] anew."""
        j, i = edges
        product = self.W_q(h)[i] * self.W_k(h)[j] * self.W_re(t)
        weights = product.reshape(len(t), self.heads, -1).sum(dim=2)
        weights = softmax(weights, i, num_nodes=len(h)) * scale
        weights = functional.dropout(weights, self.dropout, self.training)
        value = self.gamma_v(h)[j].reshape(len(t), self.heads, -1)
        attended = (weights[:, :, None] * value).flatten(1)
        message = attended + self.W_rs(t) * self.gamma_s(h)[j] * cut
        scalar, *parts = message.split(self.hidden, dim=1)
        h = h + scatter(scalar, i, dim=0, dim_size=len(h))
        along, onward = parts[: self.degree], parts[self.degree :]
        new = []
        for old, r, direct, keep in zip(x, directions, along, onward, strict=True):
            step = r[:, :, None] * direct[:, None] + old[j] * keep[:, None]
            new.append(old + scatter(step, i, dim=0, dim_size=len(h)))
        if not self.last:
            t = t + self.gamma_t(t) * self._products(new, edges, directions)
        return h, new, t

    def _products(self, x, edges, directions) -> torch.Tensor:
        """[E, H], of what is left of the tensors at both ends without their part along the edge."""
        j, i = edges
        total = 0
        for old, r, key in zip(x, directions, self.W_vk, strict=True):
            ours, theirs, r = self.W_vq(old)[i], key(old)[j], r[:, :, None]
            ours = ours - (ours * r).sum(dim=1, keepdim=True) * r
            theirs = theirs - (theirs * r).sum(dim=1, keepdim=True) * r
            total = total + (ours * theirs).sum(dim=1)
        return total


class EQFF(nn.Module):
    """Equivariant feed-forward network."""

    def __init__(self, hidden):
        super().__init__()
        self.gamma_m = nn.Sequential(
            Dense(2 * hidden, hidden, active=True), Dense(hidden, 2 * hidden)
        )
        self.W_vu = Dense(hidden, hidden, bias=False)

    def forward(self, h, x) -> tuple:
        """h [n, H] and x of each degree [n, ·, H] anew."""
        mixed = [self.W_vu(old) for old in x]
        size = torch.sqrt(torch.cat(mixed, dim=1).pow(2).sum(dim=1) + 1e-8)
        scalar, gate = self.gamma_m(torch.cat([h, size], dim=1)).chunk(2, dim=1)
        x = [old + gate[:, None] * new for old, new in zip(x, mixed, strict=True)]
        return h + scalar, x


class GotenNet(nn.Module):
    """Elements, positions and edges [2, E] → features [n, H]."""

    def __init__(
        self,
        hidden,
        interactions,
        heads,
        radial,
        max_degree,
        cutoff,
        scale_by_neighbors,
        dropout,
        max_atomic_number,
    ):
        super().__init__()
        rows = max_atomic_number + 1
        self.node_init = NodeInit(hidden, radial, rows)
        self.edge_init = EdgeInit(hidden, radial)
        self.radial_basis = RadialBasis(radial, cutoff)
        self.A_na = nn.Embedding(rows, hidden, padding_idx=0)
        self.gata_list = nn.ModuleList(
            GATA(hidden, heads, max_degree, dropout, last=k == interactions - 1)
            for k in range(interactions)
        )
        self.eqff_list = nn.ModuleList(EQFF(hidden) for _ in range(interactions))
        self.hidden, self.degree = hidden, max_degree
        self.cutoff, self.scale_by_neighbors = cutoff, scale_by_neighbors

    def forward(self, z, pos, edges) -> torch.Tensor:
        """[n, H]."""
        own = torch.arange(len(z)).expand(2, -1)
        vectors = pos[edges[0]] - pos[edges[1]]
        far = vectors.norm(dim=1)
        units = torch.cat([vectors / far[:, None], torch.zeros_like(pos)])
        far = torch.cat([far, torch.zeros_like(pos[:, 0])])
        edges = torch.cat([edges, own], dim=1)
        directions = tensors(units, self.degree)
        basis, cut = self.radial_basis(far), smooth(far, self.cutoff)
        h = self.node_init(z, self.A_na(z), edges, basis, cut)
        t = self.edge_init(h, edges, basis)
        x = [torch.zeros(len(z), part.shape[1], self.hidden) for part in directions]
        scale = torch.full_like(cut, 1 / math.sqrt(self.hidden))
        if self.scale_by_neighbors:
            scale = scale * torch.bincount(edges[0])[edges[0], None].sqrt()
        for attention, mix in zip(self.gata_list, self.eqff_list, strict=True):
            h, x, t = attention(h, x, t, edges, directions, cut, scale)
            h, x = mix(h, x)
        return h


class Regressor(nn.Module):
    """The network, a mean or sum over the atoms, and a linear layer."""

    def __init__(self, hidden, readout, **sizes):
        super().__init__()
        self.gotennet = GotenNet(hidden, **sizes)
        self.regressor = nn.Linear(hidden, 1)
        self.reduce = {"mean": "mean", "add": "sum"}[readout]

    def forward(self, z, pos, batch, edges) -> torch.Tensor:
        """[B, 1]."""
        h = self.gotennet(z, pos, edges)
        return self.regressor(scatter(h, batch, dim=0, reduce=self.reduce))


def build(**hyper) -> Regressor:
    """The network."""
    return Regressor(**hyper)


def run(module: Regressor, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.gotennet.cutoff)
    return module(structures.z, structures.pos, structures.batch, edges)
