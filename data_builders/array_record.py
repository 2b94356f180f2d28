"""One set of record files for both ways of reading: `tfds.data_source` and `tfds.load`.

TFDS writes tfrecord files by default, which need TensorFlow and can't be read at random, so that
`tfds.data_source` refuses them; the array_record files that it takes instead are refused by
`tfds.load` ("`.as_dataset()` not implemented for ArrayRecord files", TFDS 4.9.10). Here builders
write array_record unless told otherwise, and TFDS learns to read those with tf.data. Importing
this module needs no TensorFlow.
"""

import os
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource
from tensorflow_datasets.core import file_adapters

ARRAY_RECORD = tfds.core.FileFormat.ARRAY_RECORD


def _records(path: bytes) -> Iterator[bytes]:
    with ArrayRecordDataSource(path.decode()) as source:
        yield from source


class ArrayRecordTfDataAdapter(file_adapters.ArrayRecordFileAdapter):
    """TFDS's adapter for array_record files, with the one method that it leaves out."""

    SUPPORTS_TF_DATA = True

    @classmethod
    def make_tf_data(cls, filename: Any, buffer_size: int | None = None) -> Any:
        """The serialized examples of a file, in order, as a `tf.data.Dataset` of byte strings.

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
    """Lets `tfds.load` read array_record files, in this process, of any dataset.

    Does nothing under a TFDS that can do it by itself.
    """
    if not file_adapters.ADAPTER_FOR_FORMAT[ARRAY_RECORD].SUPPORTS_TF_DATA:
        file_adapters.ADAPTER_FOR_FORMAT[ARRAY_RECORD] = ArrayRecordTfDataAdapter


teach_tfds()


class ArrayRecordBuilder(tfds.core.GeneratorBasedBuilder):
    """A `GeneratorBasedBuilder` that writes array_record files unless told otherwise."""

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.info.initialized:  # nothing prepared yet
            self.info.set_file_format(ARRAY_RECORD, override=True)
