"""Labels of metrics: words from closed lists, so that nothing from outside makes series without end."""

import re
from typing import Final

_WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")


def label(value: str) -> str:
    """Return a word as it is, nothing as ``none``, and anything else as ``other``."""
    if not value:
        return "none"
    return value if _WORD.fullmatch(value) else "other"
