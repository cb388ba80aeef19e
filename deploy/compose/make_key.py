"""Makes the key by which the members of the replica set know each other, once, for the user that mongod runs as."""

import base64
import os
import secrets
import sys
from pathlib import Path

# The uid and gid of the user "mongodb" in the official images.
MONGOD = 999


def main() -> None:
    """Write the key unless it is there."""
    path = Path(sys.argv[1])
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.write_bytes(base64.b64encode(secrets.token_bytes(512)))
        fresh.chmod(0o400)
        os.chown(fresh, MONGOD, MONGOD)
        fresh.rename(path)


if __name__ == "__main__":
    main()
