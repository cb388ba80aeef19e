"""Run as a script in the place of our command line, where a test is about the stack and not about what runs in it.

It uses the servers that the environment names, says that it is ready and goes when asked.
"""

import os
import signal
import sys
import threading

import pymongo
import redis


def main(words: list[str]) -> None:
    """Do as ``horarium node``, ``horarium worker`` and ``horarium apply`` are told to."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    url, database = os.environ["HORARIUM_MONGODB_URL"], os.environ["HORARIUM_DATABASE"]
    with pymongo.MongoClient(url, w="majority", serverSelectionTimeoutMS=10000) as client:
        client[database].seen.insert_one({"words": words, "app": os.environ.get("HORARIUM_APP"), "pid": os.getpid()})
    with redis.Redis.from_url(os.environ["HORARIUM_BROKER_URL"], socket_timeout=5) as broker:
        broker.lpush("seen", " ".join(words))
    if words[0] == "apply":
        if "refused" in words[-1]:
            raise SystemExit("the manifest is refused")
        return
    sys.stdout.write(f"{' '.join(words)} is not ready\n{' '.join(words)} is ready\n")
    stop.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
