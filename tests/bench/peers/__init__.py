"""The peers, each doing the same work: N due no-op jobs, handed over or run.  They run in an environment of their own."""
