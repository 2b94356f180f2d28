"""Reads and describes the data: PairTable, targets, splits, scaling, batches."""
