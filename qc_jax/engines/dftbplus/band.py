"""band.out: orbital energies and their occupations at the electronic temperature."""

import dataclasses
import re

import numpy as np

from qc_jax.data import labels
from qc_jax.engines.dftbplus.detailed import Detailed
from qc_jax.engines.dftbplus.fortran import number
from qc_jax.engines.engine import FailureKind

_HEADING = re.compile(r"\s*KPT\s+(\d+)\s+SPIN\s+(\d+)\s+KWEIGHT\s+\S+\s*")


@dataclasses.dataclass(frozen=True)
class Bands:
    """Orbitals by spin channel, [1][M] or [2][M].

    Attributes:
      energies: eV, four decimals.
      occupations: electrons, five decimals; up to 2 in one channel, up to 1 in two.
    """

    energies: np.ndarray
    occupations: np.ndarray

    def frontier_levels(self) -> tuple[float, float]:
        """Return HOMO and LUMO (eV) at the electronic temperature; no LUMO is NaN."""
        return labels.frontier_of_occupations(self.energies, self.occupations)


def parse(text: str) -> Bands:
    """Read the text of a band.out.

    Raises:
      EngineError: it is cut short, unreadable or periodic.
    """
    channels: list[list[tuple[float, float]]] = []
    for at, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.fullmatch(line):
            point, channel = map(int, heading.groups())
            if point != 1:
                raise FailureKind.PERIODIC.error(
                    f"k-point {point} in band.out, expected two atoms alone"
                )
            channels.append([])
            if channel != len(channels):
                raise FailureKind.BANDS.error(
                    f"spin {channel} in band.out, expected {len(channels)}"
                )
        elif words := line.split():
            if not channels or len(words) != 3 or words[0] != str(len(channels[-1]) + 1):
                raise FailureKind.BANDS.error(
                    f"unexpected {line.strip()!r} in line {at} of band.out"
                )
            energy, occupation = (number(word, f"line {at} of band.out") for word in words[1:])
            channels[-1].append((energy, occupation))
    if not 1 <= len(channels) <= 2 or not channels[0] or len({len(c) for c in channels}) != 1:
        counts = " and ".join(str(len(channel)) for channel in channels) or "no"
        raise FailureKind.BANDS.error(
            f"{counts} levels in band.out, expected one or two equal channels"
        )
    table = np.array(channels)  # [channel, M, 2]
    bands = Bands(energies=table[..., 0], occupations=table[..., 1])
    if (np.diff(bands.energies) < 0).any():
        raise FailureKind.BANDS.error("energies in band.out that do not rise from level to level")
    return bands


def check(bands: Bands, detailed: Detailed) -> None:
    """Hold band.out against detailed.out: orbitals, electrons, band energy.

    Raises:
      EngineError: they are not of one calculation, or band.out is cut short.
    """
    channels, orbitals = bands.energies.shape
    if (channels, orbitals) != (len(detailed.electrons), detailed.orbitals):
        raise FailureKind.BANDS.error(
            f"{channels} channels of {orbitals} levels in band.out, but "
            f"{len(detailed.electrons)} of {detailed.orbitals} orbitals in detailed.out"
        )
    for energies, occupations, electrons, band_energy in zip(
        bands.energies,
        bands.occupations,
        detailed.electrons,
        detailed.band_energies_ev,
        strict=True,
    ):
        # Half of the last digit, for every level.
        if not abs(occupations.sum() - electrons) <= 1e-6 + 5e-6 * orbitals:
            raise FailureKind.BANDS.error(
                f"{occupations.sum():.5f} electrons in band.out, {electrons:.5f} in detailed.out"
            )
        found = float(energies @ occupations)
        rounding = 5e-5 * occupations.sum() + 5e-6 * np.abs(energies).sum()
        if not abs(found - band_energy) <= 1e-4 + rounding:
            raise FailureKind.BANDS.error(
                f"levels times occupations of band.out sum to {found:.4f} eV, the band "
                f"energy in detailed.out is {band_energy:.4f} eV"
            )
