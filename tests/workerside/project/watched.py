"""The application of a user who starts Celery's own worker and wants its port."""

import os

from shop import app

import workers
from workers.observing import observe_worker

observe_worker(workers.install(app), host="127.0.0.1", port=int(os.environ["HORARIUM_WATCHED_PORT"]))
