"""Importing this registers the dataset `qm9_files` with TFDS."""

from data_builders.qm9_files.qm9_files_dataset_builder import Builder

__all__ = ["Builder"]
