"""Running the jobs of an APScheduler application on Celery workers.

- ``executor``: ``CeleryExecutor``, what a scheduler sees.
- ``desk``: the connections of one executor, opened when they are first needed.
- ``handover``: one submitted job: recorded, begun, marked, published.
- ``tending``: what crashes, lost messages and dead workers leave is brought to an end.
- ``answers``: how runs ended, as APScheduler's events.
"""
