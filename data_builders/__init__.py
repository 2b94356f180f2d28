"""TFDS builders, one folder a dataset."""
