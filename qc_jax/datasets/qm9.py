"""QM9 as TFDS's own builder keeps it: what its features are here, in eV, Å and Debye.

R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Sci. Data 1, 140022 (2014). TFDS leaves
the features in the units of the files (Hartree, Bohr) and in float32: U0 of a molecule of -400
Hartree is then known to 0.8 meV, the atomization energies, which it takes in float64, to 1e-3 meV.
"""

import contextlib
import pathlib
import re
import shutil
import socket
import tarfile
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.qm9 import qm9_dataset_builder

from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.atoms import Structure, check_structure
from qc_jax.data.files import DAMAGE, one_line, open_regular, read_text, sha256
from qc_jax.data.names import DataName
from qc_jax.data.splits import Split
from qc_jax.data.structures import Structures
from qc_jax.datasets.array_record import ArrayRecordBuilder, prepared_builder, records
from qc_jax.errors import InputError

MAX_ATOMS = 29
CHARACTERIZED = 130_831  # molecules of the true files, those that did not hold their shape left out
_TRAIN, _VALIDATION = 110_000, 10_000  # of them


class Feature(NamedTuple):
    """What TFDS calls a label, and the factor that makes ours of it."""

    name: str
    factor: float


TARGETS: dict[str, Feature] = {
    "e_homo_ev": Feature("homo", HARTREE_EV),
    "e_lumo_ev": Feature("lumo", HARTREE_EV),
    "e_g_ev": Feature("gap", HARTREE_EV),
    "u0_ev": Feature("U0", HARTREE_EV),
    "u298_ev": Feature("U", HARTREE_EV),
    "h298_ev": Feature("H", HARTREE_EV),
    "g298_ev": Feature("G", HARTREE_EV),
    "u0_atomization_ev": Feature("U0_atomization", HARTREE_EV),
    "u298_atomization_ev": Feature("U_atomization", HARTREE_EV),
    "h298_atomization_ev": Feature("H_atomization", HARTREE_EV),
    "g298_atomization_ev": Feature("G_atomization", HARTREE_EV),
    "zpve_ev": Feature("zpve", HARTREE_EV),
    "dipole_mag_d": Feature("mu", 1.0),
    "polarizability_bohr3": Feature("alpha", 1.0),
    "electronic_extent_bohr2": Feature("r2", 1.0),
    "heat_capacity_calmolk": Feature("Cv", 1.0),
}


def read(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of TFDS's `qm9` as what `stream.Stream` reads: its atoms without padding."""
    atoms = int(record["num_atoms"])
    return {
        "atomic_numbers": np.asarray(record["charges"][:atoms], np.int32),
        "positions": np.asarray(record["positions"][:atoms], np.float32),
    }


def label(record: Mapping[str, Any], target: str) -> float:
    """Return one of `TARGETS` of a record, in its unit here."""
    feature = TARGETS[target]
    return float(record[feature.name]) * feature.factor


def split(molecules: int, seed: int) -> Split:
    """Return the published sizes: 110,000 train, 10,000 validate, the rest tests.

    Shuffled by NumPy's RandomState, as TFDS's configuration `dimenet` is: of seed 42 it is the same
    split. Fewer molecules than QM9 has are split in the same proportions.

    Args:
      molecules: how many, in the order of the configuration `original`.
      seed: of the shuffle.

    Raises:
      InputError: they are too few.
    """
    train = molecules * _TRAIN // CHARACTERIZED
    validation = molecules * _VALIDATION // CHARACTERIZED
    if not train or not validation:
        raise InputError(f"QM9: expected at least 14 molecules to split, got {molecules}")
    order = np.random.RandomState(seed).permutation(molecules).astype(np.int64)
    return Split(
        train=order[:train],
        validation=order[train : train + validation],
        test=order[train + validation :],
        description=f"qm9: of {molecules} molecules {train} train, {validation} validate, the "
        "rest tests",
    )


# What TFDS would download, by the names it asks for, and their published file names.
FILES = {
    "atomref": "atomref.txt",
    "uncharacterized": "uncharacterized.txt",
    "dsgdb9nsd": "dsgdb9nsd.xyz.tar.bz2",
}
_MEMBER = re.compile(r"(?:\./)?dsgdb9nsd_(\d{6})\.xyz")


class _Here:
    """Stands for TFDS's download manager: gives what is here already instead of fetching it."""

    def __init__(self, files: dict[str, pathlib.Path], molecules: pathlib.Path):
        self._files, self._molecules = files, molecules

    def download(self, urls: dict[str, str]) -> dict[str, pathlib.Path]:
        return {name: self._files[name] for name in urls}

    def download_and_extract(self, urls: dict[str, str]) -> dict[str, pathlib.Path]:
        return {name: self._molecules for name in urls}


class Builder(ArrayRecordBuilder, qm9_dataset_builder.Builder):
    """Build `qm9_files`: TFDS's own qm9 of files that are here, of any number of molecules."""

    name = "qm9_files"
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS reads a plain attribute)
        config
        for config in qm9_dataset_builder.Builder.BUILDER_CONFIGS
        if config.name == "original"
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Place the files of QM9 (DOI 10.6084/m9.figshare.c.978904) in this directory under their
    published names: {", ".join(FILES.values())}. Where there are none they are downloaded.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        info = super()._info()
        info._metadata = tfds.core.MetadataDict()  # TFDS's builder has none
        return info

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        files = _files(dl_manager)
        archive = files["dsgdb9nsd"]
        digest = sha256(archive)
        extracted = pathlib.Path(dl_manager.download_dir) / f"qm9_{digest[:16]}"
        molecules = _extract(archive, extracted)
        left_out = _uncharacterized(files["uncharacterized"])
        self.info.metadata.update(
            provenance={"sha256": digest, "molecules": molecules, "uncharacterized": left_out}
        )
        with _sizes(molecules, molecules - left_out):
            try:
                return super()._split_generators(_Here(files, extracted))
            except AssertionError as error:
                raise InputError(
                    f"{files['uncharacterized']}: names a molecule twice, or one that "
                    f"{archive.name} has not"
                ) from error

    def _generate_examples(
        self, ids: np.ndarray, atomref: dict[str, Any], molecules_dir: Any
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        found = super()._generate_examples(ids, atomref, tfds.core.Path(molecules_dir))
        for index in ids:
            name = f"dsgdb9nsd_{index:06d}.xyz"
            try:
                key, record = next(found)
            except (ValueError, LookupError, TypeError, OSError) as error:
                raise InputError(f"{name}: not in QM9's format: {one_line(error)}") from error
            atoms = read(record)
            check_structure(Structure(atoms["atomic_numbers"], atoms["positions"]), name)
            yield key, record


def _files(dl_manager: Any) -> dict[str, pathlib.Path]:
    """Return the three files: of the manual directory, else downloaded, with TFDS's checksums."""
    here: dict[str, pathlib.Path] = {}
    with contextlib.suppress(AssertionError):  # the directory is not there, or empty
        manual = pathlib.Path(dl_manager.manual_dir)  # may hold files of other datasets alone
        paths = {name: manual / file for name, file in FILES.items()}
        here = {name: path for name, path in paths.items() if path.exists()}
        missing = [path.name for name, path in paths.items() if name not in here]
        if here and missing:
            raise InputError(
                f"manual directory {manual}: expected QM9's files, {missing[0]} is missing"
            )
    if here:
        return here
    urls = {
        "atomref": qm9_dataset_builder._ATOMREF_URL,
        "uncharacterized": qm9_dataset_builder._UNCHARACTERIZED_URL,
        "dsgdb9nsd": qm9_dataset_builder._MOLECULES_URL,
    }
    _check_network({str(urllib.parse.urlsplit(url).hostname) for url in urls.values()})
    found = dl_manager.download(urls)
    return {name: pathlib.Path(path) for name, path in found.items()}


def _check_network(hosts: set[str]) -> None:
    """Raise InputError for a host that no proxy stands before and that has no address here.

    TFDS would try for minutes.
    """
    if not {"http", "https", "all"}.isdisjoint(urllib.request.getproxies()):
        return
    for host in hosts:
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            raise InputError(
                f"QM9 cannot be downloaded from {host}: {error.strerror}; expected qm9:DIR with "
                f"{', '.join(FILES.values())}"
            ) from error


def _extract(archive: pathlib.Path, folder: pathlib.Path) -> int:
    """Extract the molecules where they are not there yet; how many there are.

    QM9 writes small numbers like 6.8*^-6. TFDS's builder (4.9.10) mends that in a way that
    pandas 3 refuses, so it is done here.
    """
    try:
        with open_regular(archive, "rb") as opened, tarfile.open(fileobj=opened) as file:
            members = {
                int(match[1]): each
                for each in file
                if each.isfile() and (match := _MEMBER.fullmatch(each.name))
            }
            if not members or sorted(members) != list(range(1, len(members) + 1)):
                raise InputError(
                    f"{archive}: expected dsgdb9nsd_000001.xyz and on without a gap, got "
                    f"{len(members)} such files"
                )
            if not folder.exists():
                _write(folder, ((index, file.extractfile(each)) for index, each in members.items()))
    except InputError:
        raise
    except (*DAMAGE, tarfile.TarError) as error:
        said = one_line(error)
        raise InputError(f"{archive}: not a tar archive, or cut short: {said}") from error
    return len(members)


def _write(folder: pathlib.Path, molecules: Iterable[tuple[int, Any]]) -> None:
    """Write a file for each molecule, by its number and open file: all of them or none.

    Raises:
      InputError: the folder cannot be written; what reading raises is left as it is.
    """
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    try:
        with _writing(folder):
            partial.mkdir(parents=True)
        for index, content in molecules:
            text = content.read().replace(b"*^", b"e")
            with _writing(folder):
                (partial / f"dsgdb9nsd_{index:06d}.xyz").write_bytes(text)
        with _writing(folder):
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was first
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _writing(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or error
        raise InputError(f"{folder}: cannot be written: {said}") from error


def _uncharacterized(path: pathlib.Path) -> int:
    """Return how many molecules the file lists: nine lines of header, one of footer."""
    lines = read_text(path).rstrip().splitlines()[9:-1]
    words = [line.split()[:1] for line in lines]
    if not all(word and word[0].isdecimal() for word in words):
        raise InputError(f"{path}: expected a molecule's number at the start of lines 10 and on")
    return len(words)


@contextlib.contextmanager
def _sizes(molecules: int, characterized: int) -> Iterator[None]:
    """Have TFDS's builder expect these numbers, which in it are constants of the true files."""
    names = ("_SIZE", "_CHARACTERIZED_SIZE")
    before = [getattr(qm9_dataset_builder, name) for name in names]
    try:
        for name, value in zip(names, (molecules, characterized), strict=True):
            setattr(qm9_dataset_builder, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(qm9_dataset_builder, name, value)


def open_structures(name: DataName, data_dir: str) -> Structures:
    """Return the molecules of a folder of QM9's files, or downloaded ones where no folder is named.

    TFDS prepares them in `data_dir` on first use.

    Raises:
      InputError: a file is missing or damaged, or the download fails.
    """
    files = [pathlib.Path(name.path) / file for file in FILES.values()]
    missing = [file.name for file in files if name.path and not file.is_file()]
    if missing:
        raise InputError(
            f"qm9:{name.path}: expected QM9's files {', '.join(FILES.values())}; "
            f"missing: {', '.join(missing)}"
        )
    made = prepared_builder(Builder, data_dir, name.path, files)
    used = ("num_atoms", "charges", "positions", "index")
    labels = [feature.name for feature in TARGETS.values()]
    rows = records(made, ("train",), (*used, *labels))
    targets: dict[str, list[float]] = {target: [] for target in TARGETS}
    names, sizes = [], []
    for record in rows:
        names.append(f"qm9_{int(record['index'])}")
        sizes.append(int(record["num_atoms"]))
        for target, column in targets.items():
            column.append(label(record, target))
    return Structures(
        names=np.array(names),
        source=rows,
        read=read,
        targets={target: np.array(column) for target, column in targets.items()},
        sizes=np.array(sizes),
        split=lambda rows, seed: split(len(rows), seed),
        provenance=made.info.metadata["provenance"],
    )
