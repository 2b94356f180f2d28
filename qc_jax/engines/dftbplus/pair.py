"""One directory of DFTB+ outputs becomes a record, or a reason why it can't be trusted."""

import dataclasses
import math
import os
from collections.abc import Mapping

import numpy as np

from qc_jax.chem import elements, units
from qc_jax.engines.dftbplus import band, detailed, geometry, log, results_tag
from qc_jax.engines.dftbplus.fortran import read_text
from qc_jax.engines.engine import EngineError, FailureKind
from qc_jax.engines.record import Record
from qc_jax.errors import InputError

# What band.out gives; without it the table of the published pipeline may.
LEVELS = ("e_homo_ev", "e_lumo_ev")
OF_BANDS = (*LEVELS, "n_levels", "max_occupancy", "metal_like", "no_virtual_in_basis")
# Mulliken populations of one calculation in two files, eight decimals each, sums of two spins.
_SAME_ELECTRONS = 1e-7


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one directory says.

    Attributes:
      record: of the pair, without evidence.
      release: of DFTB+, where dftb.log tells.
      from_labels: which of `OF_BANDS` the files lacked and the labels gave.
    """

    record: Record
    release: str | None
    from_labels: tuple[str, ...]


def read_pair(directory: str | os.PathLike) -> Record:
    """Return the pair whose DFTB+ outputs stand in `directory`.

    Reads detailed.out, geo_end.xyz and band.out of a relaxation, unpolarised or spin-polarised, and
    dftb.log and results.tag where they are there. What stands in several of them must agree;
    results.tag gives most digits and is taken.

    Of two spin channels the populations, band energies and entropies are added; the Fermi level is
    the mean of the two; HOMO is the higher and LUMO the lower one, by the occupations
    (`labels.frontier_of_occupations`).

    Args:
      directory: called like 'Ag_Al' or, for one of several calculations, 'Ag_Al_spin'. Atoms that
        the files have in the other order are put in that of the name.

    Returns:
      Its record, without evidence: the files give none. The extras are the published labels that
      are no targets.

    Raises:
      EngineError: the outputs can't be trusted; the message says why, as 'kind: details'.
    """
    return read(directory).record


def pair_of(directory: str | os.PathLike) -> str | None:
    """Return the pair that a directory is named after, or None."""
    symbols = os.path.basename(os.path.abspath(directory)).split("_")[:2]
    try:
        name = elements.pair_name(*symbols)
    except (InputError, TypeError):
        return None
    return name if name.split("_") == symbols else None


def read(directory: str | os.PathLike, labels: Mapping[str, float] | None = None) -> Reading:
    """Return `read_pair`, with labels that stand in for a missing band.out.

    Raises:
      EngineError: as `read_pair`.
    """
    name = pair_of(directory)
    base = os.path.basename(os.path.abspath(directory))
    if name is None:
        raise FailureKind.NAME.error(
            f"{base!r} is no pair; expected two symbols in alphabetical order, like 'Ag_Al'"
        )
    said = log.parse(read_text(os.path.join(directory, "dftb.log"), errors="replace") or "")
    if said.failure:
        raise EngineError(said.failure.kind, said.failure.detail)
    out = detailed.parse(_need(directory, "detailed.out"))
    where = geometry.parse(_need(directory, "geo_end.xyz"))
    _check_geometry(name, where, out, said.last_step)
    _check_dipole(where, out)
    electrons = [q + p for q, p in zip(out.charges, out.atom_populations, strict=True)]
    geometry.check_elements(
        where.symbols, electrons, read_text(os.path.join(directory, "dftb_in.hsd"), "replace")
    )
    bands = _bands(directory, out)
    tag = read_text(os.path.join(directory, "results.tag"))
    if tag is not None:
        out, bands = results_tag.refine(results_tag.parse(tag, len(out.electrons)), out, bands)
    levels, from_labels = _levels(bands, labels)
    order = slice(None) if where.symbols == name.split("_") else slice(None, None, -1)
    positions = where.positions[order]
    targets = {
        "e_homo_ev": levels["e_homo_ev"],
        "e_lumo_ev": levels["e_lumo_ev"],
        "band_energy_ev": sum(out.band_energies_ev),
        "repulsive_energy_ev": out.repulsive_ev,
        "mermin_free_energy_ev": out.mermin_ev,
        "total_energy_ev": out.total_ev,
        "fermi_level_ev": sum(out.fermi_levels_ev) / len(out.fermi_levels_ev),
    }
    extras: dict[str, float | str] = {
        "total_charge": out.total_charge,
        "dipole_x_d": out.dipole[0],
        "dipole_y_d": out.dipole[1],
        "geom_opt_step": float(out.step),
        "scc_last_iter": float(out.scc_iteration),
        "scc_last_total_elec_eh": out.scc_total_hartree,
        "scc_last_diff_elec": out.scc_difference_hartree,
        "scc_last_error": out.scc_error,
        "geom_converged": 1.0,
        "scc_converged": 1.0,
        "n_atoms": float(len(positions)),
        "system_id_guess": base,
        **{label: levels[label] for label in OF_BANDS if label not in LEVELS},
    }
    record = Record(
        name=name,
        distance=math.dist(*positions),
        populations=out.populations[order],
        charges=out.charges[order],
        dipole=out.dipole,
        targets=targets,
        positions=positions,
        extras=extras,
    )
    return Reading(record, said.release, from_labels)


def _need(directory: str | os.PathLike, file: str) -> str:
    text = read_text(os.path.join(directory, file))
    if not text:
        raise FailureKind.FILES.error(f"no {file}" if text is None else f"{file} is empty")
    return text


def _check_geometry(
    name: str, where: geometry.Geometry, out: detailed.Detailed, last_step: int | None
) -> None:
    if sorted(where.symbols) != name.split("_"):
        raise FailureKind.GEOMETRY.error(
            f"{' and '.join(where.symbols)} in geo_end.xyz, but a directory of {name}"
        )
    if where.step != out.step:
        raise FailureKind.GEOMETRY.error(
            f"step {where.step} in geo_end.xyz, step {out.step} in detailed.out"
        )
    if last_step is not None and last_step != out.step:
        raise FailureKind.GEOMETRY.error(
            f"step {out.step} in detailed.out, step {last_step} in dftb.log"
        )
    for atom, (here, there) in enumerate(
        zip(where.populations, out.atom_populations, strict=True), start=1
    ):
        if not abs(here - there) <= _SAME_ELECTRONS:
            raise FailureKind.GEOMETRY.error(
                f"{here:.8f} electrons on atom {atom} in geo_end.xyz, {there:.8f} in "
                "detailed.out: not of one step"
            )


def _check_dipole(where: geometry.Geometry, out: detailed.Detailed) -> None:
    """Hold the dipole against charges times positions, which it is in DFTB.

    That of an ion depends on an origin that the files do not say.
    """
    if abs(out.total_charge) > 1e-6:
        return
    for axis, said in enumerate(out.dipole):
        terms = [q * r[axis] for q, r in zip(out.charges, where.positions, strict=True)]
        expected = sum(terms) / units.BOHR_ANG * units.EBOHR_DEBYE
        size = sum(abs(r[axis]) for r in where.positions) + sum(map(abs, out.charges))
        allowed = 1e-6 * abs(said) + 1e-7 * (1 + size)  # eight decimals each
        if not abs(said - expected) <= allowed:
            raise FailureKind.DIPOLE.error(
                f"{said:.8f} Debye along {'xyz'[axis]} in detailed.out, but charges times the "
                f"positions of geo_end.xyz sum to {expected:.8f} Debye"
            )


def _bands(directory: str | os.PathLike, out: detailed.Detailed) -> band.Bands | None:
    """Return what band.out says, None where there is none."""
    text = read_text(os.path.join(directory, "band.out"))
    if text is None:
        return None
    bands = band.parse(text)
    band.check(bands, out)
    return bands


def _levels(
    bands: band.Bands | None, labels: Mapping[str, float] | None
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return `OF_BANDS` by name, and which of them come from the labels."""
    if bands is None:
        if labels is None or not np.isfinite(labels.get("e_homo_ev", np.nan)):
            raise FailureKind.BANDS.error("no band.out, and no e_homo_ev of this pair in a table")
        return {label: labels.get(label, np.nan) for label in OF_BANDS}, tuple(
            label for label in OF_BANDS if label in labels
        )
    homo, lumo = bands.frontier_levels()
    return {
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "n_levels": float(bands.energies.size),
        "max_occupancy": float(bands.occupations.max()),
        "metal_like": float(homo == lumo),
        "no_virtual_in_basis": float(np.isnan(lumo)),
    }, ()
