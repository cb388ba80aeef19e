"""RUNS: the wire, the Celery app, executing one firing, worker pools."""
