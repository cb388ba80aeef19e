"""The bare loop: the same writes as a node's, batched, with nothing of the product around them: the limit to reach."""

import secrets
import sys
import time
from typing import Any

import redis
from pymongo import ASCENDING, DESCENDING, MongoClient, UpdateOne

BATCH = 500


def main() -> None:
    """Dispatch ``COUNT`` due jobs: ``bare MONGO BROKER COLLECTION COUNT [message]``."""
    mongo_url, broker_url, name, count = sys.argv[1:5]
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, w="majority", journal=True)
    jobs, ledger = client["bench"][name], client["bench"]["bare"]
    ledger.create_index([("state", 1), ("attend_at", 1)], partialFilterExpression={"attend_at": {"$exists": True}})
    ledger.create_index([("tenant", ASCENDING), ("job", ASCENDING), ("nominal", DESCENDING)])
    ledger.create_index("expire_at", expireAfterSeconds=0, partialFilterExpression={"expire_at": {"$exists": True}})
    broker = redis.Redis.from_url(broker_url)
    message = "x" * 1100
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    done = 0
    while done < int(count):
        done += _pass(jobs, ledger, broker, message)
    sys.stdin.readline()
    print(done, flush=True)  # noqa: T201


def _pass(jobs: Any, ledger: Any, broker: Any, message: str) -> int:
    """Find, claim by nonce, read back, insert, advance, mark, push: each one command."""
    now, nonce = time.time(), secrets.token_hex(8)
    free = {"next_run_time": {"$lte": now}, "lease_until": {"$not": {"$gt": now}}}
    ids = [one["_id"] for one in jobs.find(free, {"_id": 1}, sort=[("next_run_time", 1)], limit=BATCH)]
    if not ids:
        return 0
    jobs.update_many(
        {"_id": {"$in": ids}, **free},
        [{"$set": {"lease_until": now + 10, "next_run_time": now + 10, "nonce": nonce}}],
    )
    found = list(jobs.find({"_id": {"$in": ids}, "nonce": nonce}))
    records = [
        {
            "_id": f"bench:{nonce}{number}", "tenant": "bench", "job": one["_id"], "nominal": one["nominal"],
            "state": "pending", "attend_at": now + 5, "spec": one["spec"],
        }
        for number, one in enumerate(found)
    ]  # fmt: skip
    ledger.insert_many(records, ordered=False)
    jobs.bulk_write(
        [
            UpdateOne(
                {"_id": one["_id"], "nonce": nonce},
                {
                    "$set": {"next_run_time": one["nominal"] + 3600, "slots": [record["_id"]], "fence": 1},
                    "$unset": {"lease_until": "", "nonce": ""},
                },
            )
            for one, record in zip(found, records, strict=True)
        ],
        ordered=False,
    )
    ledger.bulk_write(
        [
            UpdateOne({"_id": one["_id"], "state": "pending"}, {"$set": {"state": "dispatched", "attend_at": now + 60}})
            for one in records
        ],
        ordered=False,
    )
    broker.lpush("bare", *[message] * len(records))
    return len(records)


if __name__ == "__main__":
    main()
