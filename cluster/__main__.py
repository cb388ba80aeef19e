"""Composition root of the ``horarium`` command."""

import os
import sys
import zoneinfo


def main() -> None:
    """Run the command line."""
    # Zone rules come from the pinned wheel: those of the image differ from machine to machine.
    zoneinfo.reset_tzpath(())
    try:
        from cluster.cli.main import run
    except ImportError as error:
        # `cluster`, `jobstore` and `workers` are common names: another package may stand in the way.
        sys.exit(
            f"horarium: it cannot be started, because {error}; is it installed, and is no other package in its way?"
        )
    sys.exit(run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
