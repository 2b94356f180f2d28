"""CrysMTM as it is published: TiO2 particles of three phases at 0 to 1000 K, turned many ways.

C. Polat, E. Serpedin, M. Kurban, H. Kurban, DOI 10.6084/m9.figshare.29497604. In a folder stand
`labels.csv` (Polymorph, Temperature like 300K, Parameter, Value) and for every phase, temperature
and rotation k `<phase>/<T>K/` with `xyz/rot_k.xyz`, `images/rot_k.png` and `text/rot_k.txt`. The
labels are of a phase at a temperature: all its rotations share them.
"""

import collections
import csv
import math
import os
import pathlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from qc_jax.errors import InputError, choose

PHASES = ("anatase", "brookite", "rutile")
# The parameters of labels.csv, and what each is called here; see `targets.STRUCTURE_TARGETS`.
PARAMETERS = {
    "HOMO": "e_homo_ev",
    "LUMO": "e_lumo_ev",
    "Eg": "e_g_ev",
    "Ef": "fermi_level_ev",
    "Et": "total_energy_ev",
    "Eta": "energy_per_atom_ev",
    "disp": "displacement_ang",
    "vol": "volume_change_ang3",
    "bond": "bond_change_ang",
}
# The published parts: these temperatures (K) test inside and outside of the range that is trained
# on; all others train.
TEST_ID = (250, 450, 650, 750, 800)
TEST_OOD = (0, 50, 100, 900, 950, 1000)

Labels = Mapping[tuple[str, int], Mapping[str, float]]


class Sample(NamedTuple):
    """One rotation of a phase at a temperature.

    Attributes:
      phase: one of `PHASES`.
      temperature: K.
      rotation: its number.
      folder: of the temperature.
    """

    phase: str
    temperature: int
    rotation: int
    folder: pathlib.Path

    @property
    def name(self) -> str:
        """Like 'anatase_300K_12'."""
        return f"{self.phase}_{self.temperature}K_{self.rotation}"

    @property
    def part(self) -> str:
        """Of the published split: train, test_id or test_ood."""
        if self.temperature in TEST_ID:
            return "test_id"
        return "test_ood" if self.temperature in TEST_OOD else "train"

    def path(self, kind: str) -> pathlib.Path:
        """Of one of `KINDS`."""
        return self.folder / kind / f"rot_{self.rotation}.{KINDS[kind]}"


KINDS = {"xyz": "xyz", "images": "png", "text": "txt"}  # folder: how its files end


def read_labels(path: str | os.PathLike) -> tuple[Labels, dict[str, int]]:
    """The labels of `labels.csv` by phase and temperature, then by our target name.

    Returns:
      The labels, and the parameters that are none of `PARAMETERS` with their number of rows.

    Raises:
      InputError: the file is not there, a row is wrong or stands there twice, or a phase at a
        temperature lacks one of the nine labels.
    """
    name = os.fspath(path)
    found: dict[tuple[str, int], dict[str, float]] = {}
    others: collections.Counter[str] = collections.Counter()
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = ["Polymorph", "Temperature", "Parameter", "Value"]
            if not set(columns) <= set(reader.fieldnames or ()):
                raise InputError(f"{name}: expected columns {columns}, got {reader.fieldnames}")
            for row in reader:
                where = f"{name}: line {reader.line_num}"
                key, parameter, value = _label(where, [row[column] or "" for column in columns])
                if parameter not in PARAMETERS:
                    others[parameter] += 1
                    continue
                parameter = PARAMETERS[parameter]
                if parameter in found.setdefault(key, {}):
                    raise InputError(f"{where}: {parameter} of {key[0]} {key[1]}K stands twice")
                found[key][parameter] = value
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    for (phase, kelvin), values in found.items():
        missing = [given for given, ours in PARAMETERS.items() if ours not in values]
        if missing:
            raise InputError(f"{name}: {phase} {kelvin}K has no {', '.join(missing)}")
    return found, dict(others)


def _label(where: str, words: list[str]) -> tuple[tuple[str, int], str, float]:
    """Phase and temperature, the parameter, and the value, of a row's four words."""
    phase, kelvin, parameter, value = (word.strip() for word in words)
    phase = phase.lower()  # the published file has both ways
    choose(f"Polymorph of {where}:", phase, PHASES)
    if not re.fullmatch(r"\d{1,4}K?", kelvin):
        raise InputError(f"{where}: Temperature: expected one like 300K, got {kelvin!r}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: Value: expected a number, got {value!r}")
    return (phase, int(kelvin.rstrip("K"))), parameter, number


def find(directory: str | os.PathLike, labels: Labels) -> tuple[list[Sample], dict[str, str]]:
    """Every rotation in the folder, by phase, temperature and number.

    Args:
      directory: of the three phases.
      labels: from `read_labels`.

    Returns:
      The samples that are whole, and the names of the others with what they lack.

    Raises:
      InputError: there is no whole sample.
    """
    samples, left_out = [], {}
    for phase in PHASES:
        for kelvin, folder in sorted(_temperatures(pathlib.Path(directory) / phase)):
            numbers = {kind: _rotations(folder / kind, end) for kind, end in KINDS.items()}
            for rotation in sorted(set().union(*numbers.values())):
                sample = Sample(phase, kelvin, rotation, folder)
                lacking = [kind for kind in KINDS if rotation not in numbers[kind]]
                if (phase, kelvin) not in labels:
                    left_out[sample.name] = "no labels"
                elif lacking:
                    left_out[sample.name] = f"no file in {', '.join(lacking)}"
                else:
                    samples.append(sample)
    if not samples:
        raise InputError(
            f"{os.fspath(directory)}: expected files like anatase/300K/xyz/rot_0.xyz with images "
            f"and text, got none that are whole ({len(left_out)} lack something)"
        )
    return samples, left_out


def _temperatures(phase: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    folders = phase.iterdir() if phase.is_dir() else ()
    return [(int(each.name[:-1]), each) for each in folders if re.fullmatch(r"\d+K", each.name)]


def _rotations(folder: pathlib.Path, end: str) -> set[int]:
    files = folder.iterdir() if folder.is_dir() else ()
    found = (re.fullmatch(rf"rot_(\d+)\.{end}", each.name) for each in files)
    return {int(match[1]) for match in found if match}
