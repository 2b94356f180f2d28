"""Programs and files that give two-atom systems; every one returns a PairTable."""
