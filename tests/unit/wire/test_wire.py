"""The signed body of a message: what is believed, what is dropped, and why."""

from dataclasses import replace

import pytest

from workers import wire

KEY = b"k" * 32
MESSAGE = wire.Message(uid="acme-k3x9q2", firing="acme-k3x9q2:abc", attempt=2, epoch=7, pool="default")


def test_what_was_encoded_is_read_back():
    order = wire.decode(wire.encode(MESSAGE, KEY), KEY)
    assert (order.uid, order.firing, order.attempt, order.epoch) == ("acme-k3x9q2", "acme-k3x9q2:abc", 2, 7)


@pytest.mark.parametrize(
    "change",
    [{"uid": "evil-000000"}, {"firing": "acme-k3x9q2:abd"}, {"attempt": 3}, {"epoch": 8}, {"mac": "00" * 32}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_field_is_forged(change: dict[str, object]):
    with pytest.raises(wire.BadMessage) as caught:
        wire.decode(wire.encode(MESSAGE, KEY) | change, KEY)
    assert caught.value.fault == "forged"


def test_another_clusters_key_is_forged():
    with pytest.raises(wire.BadMessage, match="forged"):
        wire.decode(wire.encode(MESSAGE, b"x" * 32), KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"attempt": "2"},
        {"attempt": True},
        {"epoch": 7.0},
        {"uid": None},
        {"firing": {"$ne": None}},
        {"mac": 5},
        {"mac": "é"},
        {"extra": 1},
    ],
    ids=repr,
)
def test_a_damaged_or_newer_message_is_never_believed(change: dict[str, object]):
    with pytest.raises(wire.BadMessage):
        wire.decode(wire.encode(MESSAGE, KEY) | change, KEY)


def test_a_missing_field_is_unreadable():
    fields = wire.encode(MESSAGE, KEY)
    del fields["epoch"]
    with pytest.raises(wire.BadMessage) as caught:
        wire.decode(fields, KEY)
    assert (caught.value.fault, caught.value.firing) == ("unreadable", MESSAGE.firing)


def test_a_signed_message_about_another_tenants_firing_is_not_believed():
    crossed = replace(MESSAGE, firing="other-a1b2c3:abc")
    with pytest.raises(wire.BadMessage, match="forged"):
        wire.decode(wire.encode(crossed, KEY), KEY)


def test_no_two_messages_have_the_same_signed_text():
    one = wire.sign(KEY, uid="a", firing="b|1", attempt=1, epoch=1)
    other = wire.sign(KEY, uid="a|3:b", firing="1", attempt=1, epoch=1)
    assert one != other


def test_the_task_id_is_equal_for_every_delivery_of_an_attempt():
    assert wire.task_id(MESSAGE) == wire.task_id(replace(MESSAGE, epoch=9)) == "acme-k3x9q2:abc.2"
    assert wire.task_id(replace(MESSAGE, attempt=3)) != wire.task_id(MESSAGE)


def test_the_hard_limit_leaves_the_code_time_to_end_after_the_soft_one():
    assert wire.time_limits(MESSAGE) is None
    hard, soft = wire.time_limits(replace(MESSAGE, time_limit_s=60.0))
    assert soft == 60.0
    assert hard >= soft + 5
