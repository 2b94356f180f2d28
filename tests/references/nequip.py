"""NequIP edge by edge, its harmonics and tensor products those of e3nn (`pip install e3nn==0.6.0`).

Copies of an irrep are mixed by PyTorch's Linear; the gates are written out.
"""

import math

import torch
from e3nn import o3
from torch import nn

from tests.references.structures import Structures

EQUATIONS = True


def _silu_scale() -> float:
    """What makes the mean square of x/(1 + e⁻ˣ) under the normal distribution 1."""
    points = torch.linspace(-20, 20, 100_001, dtype=torch.float64)
    density = torch.exp(-(points**2) / 2) / math.sqrt(2 * math.pi)
    square = torch.trapezoid(nn.functional.silu(points) ** 2 * density, points)
    return 1 / math.sqrt(square)


SILU_SCALE = _silu_scale()


def silu(x: torch.Tensor) -> torch.Tensor:
    """The activation, elementwise."""
    return SILU_SCALE * nn.functional.silu(x)


def bessel(far: torch.Tensor, count: int, cutoff: float) -> torch.Tensor:
    """[E, count] Bessel functions within the polynomial envelope of p = 6."""
    n = torch.arange(1, count + 1)
    waves = torch.sin(n * math.pi * far[:, None] / cutoff) / far[:, None] * math.sqrt(2 / cutoff)
    d = far / cutoff
    return waves * (1 - 28 * d**6 + 48 * d**7 - 21 * d**8)[:, None]


def irreps(count: int, most: int) -> o3.Irreps:
    """`count` of each irrep of natural parity up to the degree `most`."""
    return o3.Irreps([(count, (degree, (-1) ** degree)) for degree in range(most + 1)])


class Mix(nn.Module):
    """Mixes the copies of each irrep, `inside` of them into `outside`, a number or one each."""

    def __init__(self, inside, outside):
        super().__init__()
        self.inside = o3.Irreps(inside)
        for mul, ir in self.inside:
            if str(ir) in outside:
                self.add_module(str(ir), nn.Linear(mul, outside[str(ir)], bias=False))

    def forward(self, x) -> dict[str, torch.Tensor]:
        """[n, ·] → [n, copies, 2l + 1] of each irrep."""
        mixed = {}
        for (mul, ir), part in zip(self.inside, self.inside.slices(), strict=True):
            if hasattr(self, str(ir)):
                weight = getattr(self, str(ir)).weight
                mixed[str(ir)] = torch.einsum(
                    "wu,nui->nwi", weight, x[:, part].reshape(-1, mul, ir.dim)
                )
        return mixed


class Interaction(nn.Module):
    """Convolution, self-connection and gates."""

    def __init__(self, given, degree, features, attributes, radial, hidden, harmonics, average):
        super().__init__()
        kept = irreps(features, degree)
        paths = [
            (into, i, j)
            for into in kept
            for i, (_, one) in enumerate(given)
            for j, (_, two) in enumerate(harmonics)
            if into.ir in one * two
        ]
        product = o3.TensorProduct(
            given,
            harmonics,
            o3.Irreps([into for into, _, _ in paths]),
            [(i, j, k, "uvu", True) for k, (_, i, j) in enumerate(paths)],
            irrep_normalization="component",
            path_normalization="none",
            internal_weights=False,
            shared_weights=False,
        )
        self.product = (product,)  # hidden, since its constants are no weights
        self.before = Mix(given, {str(ir): mul for mul, ir in given})
        self.radial = nn.Sequential(
            nn.Linear(radial, hidden, bias=False),
            nn.Linear(hidden, hidden, bias=False),
            nn.Linear(hidden, product.weight_numel, bias=False),
        )
        wanted = {str(ir): mul for mul, ir in kept}
        wanted["0e"] += degree * features
        self.after = Mix(product.irreps_out.simplify(), wanted)
        self.own = Mix([(mul * attributes, ir) for mul, ir in given], wanted)
        self.given, self.features, self.average = given, features, average

    def forward(self, h, attributes, directions, radial, edges) -> torch.Tensor:
        """[n, ·] → [n, ·]."""
        j, i = edges
        sent = torch.cat([part.flatten(1) for part in self.before(h).values()], dim=1)
        for layer in self.radial[:2]:
            radial = silu(layer(radial))
        message = self.product[0](sent[j], directions, self.radial[2](radial))
        gathered = torch.zeros(len(h), message.shape[1]).index_add(0, i, message)
        after = self.after(gathered / math.sqrt(self.average))
        outer = [
            torch.einsum("nt,nui->ntui", attributes, h[:, part].reshape(len(h), mul, ir.dim))
            for (mul, ir), part in zip(self.given, self.given.slices(), strict=True)
        ]
        own = self.own(torch.cat([part.flatten(1) for part in outer], dim=1))
        total = {ir: part + own.get(ir, 0) for ir, part in after.items()}
        scalars = silu(total.pop("0e")[:, :, 0])
        values, *gates = scalars.split(self.features, dim=1)
        gated = [gate[:, :, None] * part for gate, part in zip(gates, total.values(), strict=True)]
        return torch.cat([values, *(part.flatten(1) for part in gated)], dim=1)


class NequIP(nn.Module):
    """Reads elements, positions and edges [2, E]."""

    def __init__(
        self,
        features,
        max_degree,
        layers,
        attributes,
        radial,
        radial_hidden,
        cutoff,
        average_neighbors,
        max_atomic_number,
    ):
        super().__init__()
        self.embedding = nn.Embedding(max_atomic_number + 1, features)
        self.attributes = nn.Embedding(max_atomic_number + 1, attributes)
        self.harmonics, self.radial, self.cutoff = irreps(1, max_degree), radial, cutoff
        given, self.layers = irreps(features, 0), nn.ModuleList()
        for k in range(layers):
            degree = max_degree if k < layers - 1 else 0
            sizes = (features, attributes, radial, radial_hidden)
            self.layers.append(
                Interaction(given, degree, *sizes, self.harmonics, average_neighbors)
            )
            given = irreps(features, degree)
        self.out = nn.ModuleList([nn.Linear(features, features // 2), nn.Linear(features // 2, 1)])

    def forward(self, z, pos, batch, edges) -> torch.Tensor:
        """[B, 1]."""
        vectors = pos[edges[0]] - pos[edges[1]]  # from each atom to its neighbour
        directions = o3.spherical_harmonics(
            self.harmonics, vectors, normalize=True, normalization="component"
        )
        radial = bessel(vectors.norm(dim=1), self.radial, self.cutoff)
        h, attributes = self.embedding(z), self.attributes(z)
        for layer in self.layers:
            h = layer(h, attributes, directions, radial, edges)
        energies = self.out[1](silu(self.out[0](h)))
        return torch.zeros(int(batch.max()) + 1, 1).index_add(0, batch, energies)


def build(**hyper) -> NequIP:
    """The network."""
    return NequIP(**hyper)


def run(module: NequIP, structures: Structures) -> torch.Tensor:
    """[B, 1]."""
    edges = structures.edges(module.cutoff)
    return module(structures.z, structures.pos, structures.batch, edges)
