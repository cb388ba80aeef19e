"""What a development stack runs: the demonstration that comes with the project, or the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.dev.options import DevOptions
from cluster.operations.apply import apply
from cluster.operations.manifest import Manifest, read_manifests
from jobstore.errors import ConfigurationError, InvalidInput
from jobstore.store import Store

# Inside an installed wheel, and in a checkout.
_PLACES: Final = (Path(__file__).with_name("demo"), Path(__file__).parents[2] / "examples")
_APP: Final = "demo_app"


@dataclass(frozen=True, slots=True)
class Work:
    """An application with the directory it is imported from, and the tenants and jobs that are applied."""

    app: str | None
    directory: Path | None
    manifests: tuple[Manifest, ...]


def work_of(options: DevOptions) -> Work:
    """Return what ``options`` ask for, read whole before anything is started.

    Raises:
        InvalidInput: A manifest cannot be read, or has faults.
        ConfigurationError: The demonstration is not part of this installation.
    """
    own = options.app is not None or options.manifests
    if own or not options.demo:
        return Work(options.app, None, _read(options.manifests))
    directory = next((place for place in _PLACES if (place / f"{_APP}.py").is_file()), None)
    if directory is None:
        raise ConfigurationError(
            "this installation has no demonstration; run horarium dev --no-demo, or give an application and manifests"
        )
    return Work(f"{_APP}:app", directory, _read(tuple(sorted(directory.glob("*.yaml")))))


def put(store: Store, work: Work) -> tuple[int, int]:
    """Make the tenants and jobs what the manifests say; return how many of each there are.

    Raises:
        InvalidInput: Some were refused; every fault is told.
        StoreUnavailable: MongoDB did not answer.
    """
    found = apply(store, work.manifests)
    faults = [f"{one.tenant}/{one.name}: {fault}" for one in found for fault in one.faults]
    if faults:
        raise InvalidInput(*faults)
    return len(work.manifests), sum(one.kind == "job" for one in found)


def _read(paths: tuple[Path, ...]) -> tuple[Manifest, ...]:
    manifests: list[Manifest] = []
    faults: list[str] = []
    for path in paths:
        try:
            manifests += read_manifests(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            faults.append(f"{path} cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            faults.append(f"{path} is not UTF-8 text")
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(*faults)
    return tuple(manifests)
