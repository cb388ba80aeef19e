"""Run as a script before a child's own program: ties the child's life to its parent's, then becomes that program.

It stands alone (standard library, no import of ours) because it is started by path, isolated, before anything else.
A ``preexec_fn`` would do the same between fork and exec, where a Python with threads may deadlock.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, argv: list[str]) -> None:
    """Ask the kernel for SIGKILL when the parent ends, then execute ``argv``."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)  # the parent died before the request: nobody would ever end us
    os.execv(argv[0], argv)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
