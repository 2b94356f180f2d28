"""One set of record files for both ways of reading: `tfds.data_source` and `tfds.load`.

TFDS writes tfrecord files by default, which need TensorFlow and can't be read at random, so that
`tfds.data_source` refuses them; the array_record files that it takes instead are refused by
`tfds.load` ("`.as_dataset()` not implemented for ArrayRecord files", TFDS 4.9.10). Here builders
write array_record unless told otherwise, and TFDS learns to read those with tf.data. Importing
this module needs no TensorFlow.
"""

import hashlib
import itertools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource
from etils import epath
from tensorflow_datasets.core import file_adapters
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from qc_jax.data.files import one_line
from qc_jax.errors import InputError

ATOMS = ("atomic_numbers", "positions")  # features that all larger structures have
ARRAY_RECORD = tfds.core.FileFormat.ARRAY_RECORD
# No such files; the disk or the network; a server; another file than the published one.
_FAILURES = (AssertionError, OSError, tfds.download.DownloadError, NonMatchingChecksumError)


def _records(path: bytes) -> Iterator[bytes]:
    with ArrayRecordDataSource(path.decode()) as source:
        yield from source


class ArrayRecordTfDataAdapter(file_adapters.ArrayRecordFileAdapter):
    """TFDS's adapter for array_record files, with the one method that it leaves out."""

    SUPPORTS_TF_DATA = True

    @classmethod
    def make_tf_data(cls, filename: Any, buffer_size: int | None = None) -> Any:
        """Return the serialized examples of a file, in order, as a `tf.data.Dataset` of bytes.

        Args:
          filename: a path, or a string tensor that holds one.
          buffer_size: unused; array_record files have their own.
        """
        import tensorflow as tf

        if isinstance(filename, os.PathLike):
            filename = os.fspath(filename)
        return tf.data.Dataset.from_generator(
            _records, args=(filename,), output_signature=tf.TensorSpec((), tf.string)
        )


def teach_tfds() -> None:
    """Let `tfds.load` read array_record files, in this process, of any dataset.

    Does nothing under a TFDS that can do it by itself.
    """
    if not file_adapters.ADAPTER_FOR_FORMAT[ARRAY_RECORD].SUPPORTS_TF_DATA:
        file_adapters.ADAPTER_FOR_FORMAT[ARRAY_RECORD] = ArrayRecordTfDataAdapter


teach_tfds()
if not sys.stderr.isatty():  # a bar is a line a step in a log
    tfds.disable_progress_bar()


class ArrayRecordBuilder(tfds.core.GeneratorBasedBuilder):
    """A `GeneratorBasedBuilder` that writes array_record files unless told otherwise."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        folder = epath.Path(__file__).parent / "metadata" / cls.name
        if folder.exists():  # of the description, the citation and checksums
            cls.pkg_dir_path = folder

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.info.initialized:  # nothing prepared yet
            self.info.set_file_format(ARRAY_RECORD, override=True)


def prepared_builder(
    builder: Any, data_dir: str, manual: str, files: Iterable[pathlib.Path], **options: Any
) -> Any:
    """Return the builder, prepared from files in `manual`, or downloaded where it is ''.

    Raises:
      InputError: it cannot be prepared: the files, the disk or the download.
    """
    if manual:
        data_dir = os.path.join(data_dir, f"files_{_key(files)}")
    made = builder(data_dir=data_dir, **options)
    config = tfds.download.DownloadConfig(manual_dir=manual or None)
    try:
        made.download_and_prepare(download_config=config)
    except InputError:
        raise
    except _FAILURES as error:
        if not made.is_prepared():  # else another process was first
            said = one_line(error)
            raise InputError(f"{made.name}: cannot be prepared: {said}") from error
    return builder(data_dir=data_dir, **options)


def _key(files: Iterable[pathlib.Path]) -> str:
    """Return another one for other files: of their paths, sizes and times."""
    found = []
    for file in sorted(files):
        if file.exists():
            status = file.stat()
            found.append(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


class Records:
    """Read the records of several parts, one after the other."""

    def __init__(self, sources: list[Any]):
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain(*self._sources)

    def __getitem__(self, row: int) -> Any:
        if not 0 <= row < len(self):
            raise IndexError(row)
        at = int(np.searchsorted(self._ends, row, side="right"))
        return self._sources[at][row - int(self._ends[at] - len(self._sources[at]))]


def records(builder: Any, parts: Iterable[str], wanted: Iterable[str]) -> Records:
    """Return the records of the parts, of which only the wanted features are decoded."""
    chosen = set(wanted)
    features = builder.info.features
    skip = {key: tfds.decode.SkipDecoding() for key in features if key not in chosen}
    return Records([builder.as_data_source(split=part, decoders=skip) for part in parts])
