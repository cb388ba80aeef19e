"""What the operating system says about processes, independently of our own bookkeeping."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Return whether a process of that id exists and is not merely waiting to be collected by its parent."""
    return state(pid) not in {"", "Z", "X"}


def state(pid: int) -> str:
    """Return the kernel's letter for the state (R, S, T, Z, …), or nothing when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[0]


def group_of(pgid: int) -> set[int]:
    """Return the ids of the running processes of a process group."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pgid and fields[0] not in {"Z", "X"}:
            found.add(int(path.name))
    return found


def listens_on(port: int) -> set[str]:
    """Return the local addresses on which somebody listens on ``port``, as the kernel writes them in hexadecimal."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            local, _, state_code = line.split()[1:4]
            address, _, number = local.partition(":")
            if int(number, 16) == port and state_code == "0A":
                found.add(address)
    return found
