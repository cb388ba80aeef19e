"""What commands share: the store, opened with a bounded patience, and output as a table or as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from jobstore.runtime import Runtime
    from jobstore.store import Store

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Shell:
    """The options of the root command, which go before the environment, and what child processes inherit."""

    mongodb_url: str | None = None
    database: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def store(self) -> "Iterator[Store]":
        """Open the store for one command.

        Raises:
            ConfigurationError: A setting cannot be used.
            StoreUnavailable: MongoDB did not answer in time.
        """
        from cluster.settings import CommandSettings, read_settings
        from jobstore.store import open_store

        settings = read_settings(CommandSettings, mongodb_url=self.mongodb_url, database=self.database)
        runtime = make_runtime(settings.crash_points)
        store = open_store(settings.mongodb_url, control=settings.database, runtime=runtime, name="horarium-cli")
        try:
            _await(store, settings.start_within)
            yield store
        finally:
            store.close()


def make_runtime(crash_points: str) -> "Runtime":
    """Return the runtime of a process: real clock and ids, and the crash points that a test asked for."""
    from jobstore.points import CrashPoints
    from jobstore.runtime import Runtime

    plain = Runtime()
    return Runtime(points=CrashPoints(crash_points, plain.ids.fraction)) if crash_points else plain


def _await(store: "Store", within: float) -> None:
    """Wait for MongoDB, but not for ever."""
    import threading

    from jobstore.errors import StoreUnavailable

    clock = store.runtime.clock
    deadline = clock.monotonic() + within
    while True:
        try:
            return store.time.measure()
        except StoreUnavailable as error:
            if clock.monotonic() >= deadline:
                raise StoreUnavailable(f"{error}; is HORARIUM_MONGODB_URL right, and does the server run?") from error
            clock.wait(threading.Event(), 0.2)


def output_option(function: _F) -> _F:
    """Add ``-o table|json``."""
    return click.option(
        "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How the answer is written."
    )(function)


def print_json(value: Any) -> None:
    """Write a view as JSON."""
    from cluster.operations.views import plain

    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_items(values: Sequence[Any]) -> None:
    """Write a list as ``{"items": [...]}``, so that something can be said beside it one day."""
    print_json({"items": list(values)})


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Write rows under headings; a sentence where there are none."""
    if not rows:
        click.echo(empty)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("JOB", "FIRING", "TENANT", "STATE"))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console().print(table)


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Write name and value, one pair a line; pairs without a value are left out."""
    shown = [(name, value) for name, value in facts if value not in (None, "", (), [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = str(value).splitlines() or [""]
        click.echo(f"{name:<{width}}  {first}")
        for line in rest:
            click.echo(f"{'':<{width}}  {line}")


def console() -> Any:
    """Return rich's console; what is not a terminal is as wide as it needs to be."""
    from rich.console import Console

    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=240)


def escape(cell: object) -> str:
    """Return a cell as text in which nothing is markup."""
    from rich.markup import escape as rich_escape

    return rich_escape("-" if cell is None or cell == "" else str(cell))


def warn(sentences: Sequence[str]) -> None:
    """Write warnings to stderr."""
    for sentence in sentences:
        click.echo(f"warning: {sentence}", err=True)


def as_json(value: object) -> str:
    """Return a value of a job as one line."""
    from cluster.operations.views import plain

    return json.dumps(plain(value), ensure_ascii=False)
