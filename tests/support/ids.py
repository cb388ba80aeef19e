"""Ids that count, so that a test can be repeated exactly."""

import itertools


class CountingIds:
    """A ``jobstore.ids.IdSource``: every name is new and equal in every run; fractions are spread evenly."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._tokens = itertools.count(1)
        self._suffixes = itertools.count(1)
        self._fractions = itertools.count(0)

    def token(self) -> str:
        """Return 00…01, 00…02, … with the prefix in front."""
        return f"{self._prefix}{next(self._tokens):032d}"

    def suffix(self) -> str:
        """Return a00001, and so on."""
        return f"a{next(self._suffixes):05d}"

    def fraction(self) -> float:
        """Return 0, 0.618…, 0.236…: the golden section spreads any number of them evenly over [0, 1)."""
        return next(self._fractions) * 0.6180339887498949 % 1.0
