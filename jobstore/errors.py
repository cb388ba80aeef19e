"""The errors a caller may meet, as few kinds as callers treat differently.

The message is a sentence that says what is wrong and what to do.  A lost race is never an error here: it is a return
value.  Exit codes of the command line and status codes of the API are read from ``exit_code``.
"""

from collections.abc import Sequence


class HorariumError(Exception):
    """Something the caller can understand and act on."""

    exit_code = 1


class InvalidInput(HorariumError):
    """What was given is refused as a whole; ``faults`` lists everything wrong with it."""

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults: Sequence[str] = faults


class InvalidTrigger(InvalidInput):
    """A trigger that is malformed, or names no instant at all."""


class NotFound(HorariumError):
    """The tenant, job or firing does not exist."""

    exit_code = 3


class AlreadyExists(HorariumError):
    """The name is taken."""

    exit_code = 4


class RevisionConflict(HorariumError):
    """Somebody changed it since it was read; read it again and repeat."""

    exit_code = 4


class StoreUnavailable(HorariumError):
    """MongoDB did not answer within the retry budget; what was asked may or may not have happened."""

    exit_code = 6


class BrokerUnavailable(HorariumError):
    """The message broker did not take a message; it may have got in all the same."""

    exit_code = 6


class ConfigurationError(HorariumError):
    """A setting, an installed package or a server is not as it must be."""

    exit_code = 2


class TriggerStuck(HorariumError):
    """A trigger did not name its next instant within the bounds of steps and time."""


class Unreadable(HorariumError):
    """A stored document that this version cannot read; it is set aside, never deleted."""


class InvariantBroken(RuntimeError):
    """What the protocol rules out has been seen: this is a bug in Horarium, please report it."""
