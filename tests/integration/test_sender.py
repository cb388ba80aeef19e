"""What reaches the broker: the bytes that Celery itself would write, once, and an error whenever that is not sure."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
import redis
from kombu import Connection

from cluster.dev.valkey import EmbeddedValkey
from jobstore.errors import BrokerUnavailable, ConfigurationError
from jobstore.ids import SystemIds
from workers import templates, wire
from workers.app import sending_app
from workers.epoch import KEY as EPOCH
from workers.sender import CelerySender, RedisSender, open_broker_epoch, open_sender

KEY = b"k" * 32
# The two ids that are new in every message (delivery_tag) or every process (reply_to).
_NEW = re.compile(r'"(delivery_tag|reply_to)": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')


def message(number: int = 1, pool: str = "default", **fields: object) -> wire.Message:
    return wire.Message(uid="acme-k3x9q2", firing=f"acme-k3x9q2:{number}", attempt=1, epoch=3, pool=pool, **fields)


def ids_in(client: "redis.Redis", pool: str) -> list[str]:
    """The task ids in the order in which workers take them."""
    return [json.loads(text)["headers"]["id"] for text in reversed(client.lrange(wire.queue_of(pool), 0, -1))]


@pytest.mark.parametrize("limit", [None, 90.0, 0.5])
def test_the_bytes_are_those_of_send_task(redis_db: str, redis_client: "redis.Redis", limit: float | None):
    wanted = message(time_limit_s=limit)
    app = sending_app(redis_db)
    with app.connection_for_write() as connection:
        templates.publish(app, app.amqp.Producer(connection), wanted, KEY)
    by_celery = redis_client.rpop("horarium.default")
    declared = {key: redis_client.smembers(key) for key in redis_client.keys("_kombu.*")}
    redis_client.flushdb()

    with closing(open_sender(redis_db, KEY)) as sender:
        assert isinstance(sender, RedisSender)
        sender.send([wanted])
    by_template = redis_client.rpop("horarium.default")
    assert _NEW.sub("NEW", by_template) == _NEW.sub("NEW", by_celery)
    assert {found[1] for found in _NEW.finditer(by_template)} == {"delivery_tag", "reply_to"}
    assert json.loads(by_template)["headers"]["timelimit"] == (
        [limit + wire.HARD_GRACE_S, limit] if limit else [None] * 2
    )
    assert {key: redis_client.smembers(key) for key in redis_client.keys("_kombu.*")} == declared
    assert declared


def test_a_consumer_of_kombu_reads_what_was_signed(redis_db: str):
    with closing(open_sender(redis_db, KEY)) as sender:
        sender.send([message(7)])
    with Connection(redis_db) as connection, connection.SimpleQueue("horarium.default") as queue:
        received = queue.get(timeout=5)
        received.ack()
    args, kwargs, _ = received.payload
    assert args == []
    order = wire.decode(kwargs, KEY)
    assert (order.uid, order.firing, order.attempt, order.epoch) == ("acme-k3x9q2", "acme-k3x9q2:7", 1, 3)


def test_a_batch_keeps_its_order_in_each_queue_and_takes_one_round_trip(redis_db: str, redis_client: "redis.Redis"):
    batch = [message(n, "left" if n % 3 else "right") for n in range(1200)]
    with closing(open_sender(redis_db, KEY)) as sender:
        sender.send([message(0, "left"), message(0, "right")])
        redis_client.delete("horarium.left", "horarium.right")
        before = redis_client.info("commandstats")["cmdstat_lpush"]["calls"]
        sender.send(batch)
        calls = redis_client.info("commandstats")["cmdstat_lpush"]["calls"] - before
    for pool in ("left", "right"):
        assert ids_in(redis_client, pool) == [wire.task_id(one) for one in batch if one.pool == pool]
    assert calls == 3  # 800 in two pushes, 400 in one


def test_no_two_deliveries_have_the_same_tag(redis_db: str, redis_client: "redis.Redis"):
    with closing(open_sender(redis_db, KEY)) as sender:
        sender.send([message(1), message(1)])
    texts = redis_client.lrange("horarium.default", 0, -1)
    assert len({json.loads(text)["properties"]["delivery_tag"] for text in texts}) == 2


def test_a_broker_that_refuses_is_an_error_and_its_return_is_noticed():
    with EmbeddedValkey() as broker, closing(open_sender(broker.url, KEY)) as sender:
        sender.send([message(1)])
        broker.kill()
        with pytest.raises(BrokerUnavailable):
            sender.send([message(2)])
        broker.restart()
        sender.send([message(3)])
        with redis.Redis.from_url(broker.url, decode_responses=True) as client:
            assert ids_in(client, "default") == ["acme-k3x9q2:3.1"]
            assert client.smembers("_kombu.binding.horarium.default")


@contextmanager
def deaf_proxy(port: int) -> Iterator[int]:
    """A broker whose every push gets in and whose answer to it never comes back: the connection is cut instead."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def carry(near: socket.socket) -> None:
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                while data := near.recv(65536):
                    far.sendall(data)
                    answer = far.recv(65536)
                    if b"LPUSH" in data:
                        break
                    near.sendall(answer)

        def serve() -> None:
            with suppress(OSError):  # the test is over
                while True:
                    threads.append(threading.Thread(target=carry, args=server.accept()[:1], daemon=True))
                    threads[-1].start()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for thread in (serving, *threads):
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize("general", [False, True], ids=["redis", "celery"])
def test_a_publish_whose_answer_is_lost_raises_and_is_not_repeated(general: bool):
    with EmbeddedValkey() as broker, deaf_proxy(broker.port) as port:
        url = f"redis://127.0.0.1:{port}/0"
        with closing(CelerySender(url, KEY) if general else open_sender(url, KEY)) as sender:
            with pytest.raises(BrokerUnavailable):
                sender.send([message(1)])
            with redis.Redis.from_url(broker.url, decode_responses=True) as client:
                assert ids_in(client, "default") == ["acme-k3x9q2:1.1"]


def test_the_general_sender_writes_the_same_through_kombu(redis_db: str, redis_client: "redis.Redis"):
    with closing(CelerySender(redis_db, KEY)) as sender:
        sender.send([message(1), message(2)])
        sender.send([message(3)])
    assert ids_in(redis_client, "default") == [f"acme-k3x9q2:{n}.1" for n in (1, 2, 3)]


def test_the_general_sender_survives_a_restart_of_the_broker():
    with EmbeddedValkey() as broker, closing(CelerySender(broker.url, KEY)) as sender:
        sender.send([message(1)])
        broker.kill()
        with pytest.raises(BrokerUnavailable):
            sender.send([message(2)])
        broker.restart()
        sender.send([message(3)])
        with redis.Redis.from_url(broker.url, decode_responses=True) as client:
            assert ids_in(client, "default") == ["acme-k3x9q2:3.1"]


def test_the_scheme_of_the_url_chooses_the_sender():
    with closing(open_sender("amqp://localhost:1//", KEY)) as sender:
        assert isinstance(sender, CelerySender)
        with pytest.raises(BrokerUnavailable):
            sender.send([message()])
    for wrong in ("localhost:6379", "redis://localhost:port/0"):
        with pytest.raises(ConfigurationError):
            open_sender(wrong, KEY)


def test_a_broker_that_keeps_its_data_has_one_epoch(redis_db: str):
    first, second = open_broker_epoch(redis_db, SystemIds()), open_broker_epoch(redis_db, SystemIds())
    with closing(first), closing(second):
        assert first.check()  # an empty broker may have been a full one
        assert [second.check(), first.check(), first.check(), second.check()] == [False] * 4


def test_a_flushed_broker_is_noticed_by_every_process_once(redis_db: str, redis_client: "redis.Redis"):
    first, second = open_broker_epoch(redis_db, SystemIds()), open_broker_epoch(redis_db, SystemIds())
    with closing(first), closing(second):
        first.check()
        second.check()
        redis_client.flushdb()
        assert [first.check(), first.check(), second.check(), second.check()] == [True, False, True, False]


def test_a_broker_set_back_to_an_older_state_is_noticed_whatever_others_counted(
    redis_db: str, redis_client: "redis.Redis"
):
    first, second = open_broker_epoch(redis_db, SystemIds()), open_broker_epoch(redis_db, SystemIds())
    with closing(first), closing(second):
        for epoch in (first, second, first):
            epoch.check()
        snapshot = {key: redis_client.get(key) for key in redis_client.keys(f"{EPOCH}*")}
        assert not first.check()
        redis_client.mset(snapshot)
        assert [second.check() for _ in range(5)] == [False] * 5  # lost nothing that it knew of
        assert [first.check(), first.check()] == [True, False]


def test_a_broker_that_is_away_raises():
    with EmbeddedValkey() as broker, closing(open_broker_epoch(broker.url, SystemIds())) as epoch:
        epoch.check()
        broker.kill()
        with pytest.raises(BrokerUnavailable):
            epoch.check()
        broker.restart()
        assert epoch.check()
