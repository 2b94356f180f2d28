"""The explorer: a page of all pairs, their maps and trends, that works from disk."""
