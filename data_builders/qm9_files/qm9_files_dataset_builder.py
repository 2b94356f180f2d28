"""qm9_files: TFDS's own qm9 builder on files that are already here, of any number of molecules."""

import contextlib
import hashlib
import pathlib
import re
import tarfile
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.qm9 import qm9_dataset_builder

from data_builders.array_record import ArrayRecordBuilder
from qc_jax.data.files import DAMAGE
from qc_jax.errors import InputError

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
    """Builder of `qm9_files`; see its README for files, units and splits."""

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
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
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
                raise InputError(f"{name}: not in QM9's format: {error}") from error
            if not np.isfinite(record["positions"]).all():
                raise InputError(f"{name}: a position is not finite")
            yield key, record


def _files(dl_manager: Any) -> dict[str, pathlib.Path]:
    """The three files: of the manual directory, else downloaded, with TFDS's checksums."""
    try:
        manual = pathlib.Path(dl_manager.manual_dir)
    except AssertionError:  # not there, or empty
        urls = qm9_dataset_builder
        found = dl_manager.download(
            {
                "atomref": urls._ATOMREF_URL,
                "uncharacterized": urls._UNCHARACTERIZED_URL,
                "dsgdb9nsd": urls._MOLECULES_URL,
            }
        )
        return {name: pathlib.Path(path) for name, path in found.items()}
    missing = [name for name in FILES.values() if not (manual / name).exists()]
    if missing:
        raise InputError(
            f"manual directory {manual}: expected QM9's files, {missing[0]} is missing"
        )
    return {name: manual / file for name, file in FILES.items()}


def _extract(archive: pathlib.Path, folder: pathlib.Path) -> int:
    """Extracts the molecules where they are not there yet; how many there are.

    QM9 writes small numbers like 6.8*^-6. TFDS's builder (4.9.10) mends that in a way that
    pandas 3 refuses, so it is done here.
    """
    try:
        with tarfile.open(archive) as file:
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
            if not folder.exists():  # whole or not at all
                partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
                partial.mkdir(parents=True)
                for index, member in members.items():
                    content: Any = file.extractfile(member)
                    text = content.read().replace(b"*^", b"e")
                    (partial / f"dsgdb9nsd_{index:06d}.xyz").write_bytes(text)
                partial.rename(folder)
    except InputError:
        raise
    except (*DAMAGE, tarfile.TarError) as error:
        raise InputError(f"{archive}: not a tar archive, or cut short: {error}") from error
    return len(members)


def _uncharacterized(path: pathlib.Path) -> int:
    """How many molecules the file lists: nine lines of header, one of footer."""
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[9:-1]
    words = [line.split()[:1] for line in lines]
    if not all(word and word[0].isdecimal() for word in words):
        raise InputError(f"{path}: expected a molecule's number at the start of lines 10 and on")
    return len(words)


@contextlib.contextmanager
def _sizes(molecules: int, characterized: int) -> Iterator[None]:
    """Has TFDS's builder expect these numbers, which in it are constants of the true files."""
    names = ("_SIZE", "_CHARACTERIZED_SIZE")
    before = [getattr(qm9_dataset_builder, name) for name in names]
    try:
        for name, value in zip(names, (molecules, characterized), strict=True):
            setattr(qm9_dataset_builder, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(qm9_dataset_builder, name, value)
