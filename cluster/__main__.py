"""Composition root of the ``horarium`` command."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("horarium: the command line is being built")


if __name__ == "__main__":
    main()
