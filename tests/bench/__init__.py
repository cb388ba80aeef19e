"""Benchmarks: the same work for us, for the bare limits and for the peers, on the same servers in one run."""
