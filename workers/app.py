"""The Celery application that this package sends with, and the settings that the promises need."""

from collections.abc import Mapping
from typing import Any, Final

from celery import Celery

CONNECT_TIMEOUT_S: Final = 3.0
SOCKET_TIMEOUT_S: Final = 5.0


def sending_app(broker_url: str) -> Celery:
    """Return an application that publishes ``horarium.run`` and never waits without a bound."""
    app = Celery("horarium", broker=broker_url, set_as_current=False, changes=None)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_send_sent_event=False,
        # One attempt: the cluster repeats what may not have got in, and counts it.
        task_publish_retry=False,
        broker_connection_retry=False,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_transport_options=transport_options(broker_url),
    )
    return app


def transport_options(broker_url: str) -> Mapping[str, Any]:
    """Return the options of kombu's transport that bound every wait for the broker."""
    scheme = broker_url.partition("://")[0].partition("+")[0]
    if scheme in ("amqp", "amqps", "pyamqp"):
        # Without confirms a publish into a dead connection "succeeds".
        return {
            "confirm_publish": True,
            "read_timeout": SOCKET_TIMEOUT_S,
            "write_timeout": SOCKET_TIMEOUT_S,
            "max_retries": 0,
        }
    if scheme in ("redis", "rediss", "sentinel"):
        return {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
        }
    return {}
