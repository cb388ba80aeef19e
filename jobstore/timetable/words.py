"""Cron expressions in words."""

import re

from cronsim.explain import Expression

_PLAIN_STEP = re.compile(r"\*/(\d+)")


def explain_unix(expression: str) -> str:
    """Return a normalised unix expression in words: "at 02:30 on Monday to Friday"."""
    parts = expression.split()
    if len(parts) == 5:
        parts.insert(0, "0")
    second, minute, *rest = parts
    if rest == ["*"] * 4:
        # "every 5th minute of every hour" is right, and nobody says so
        if minute == "*" and (step := _even_step(second)):
            return f"every {step} seconds"
        if second == "0" and (step := _even_step(minute)):
            return f"every {step} minutes"
    text = Expression(parts).explain().replace(" through ", " to ")
    text = re.sub(r"(\d+)th\b", lambda match: _ordinal(int(match[1])), text)
    return text[0].lower() + text[1:]


def _even_step(field: str) -> int | None:
    match = _PLAIN_STEP.fullmatch(field)
    return int(match[1]) if match is not None and 60 % int(match[1]) == 0 else None


def _ordinal(number: int) -> str:
    if 10 < number % 100 < 14:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
