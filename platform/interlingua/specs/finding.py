"""A finding of a check before a run: of what, what was found, how it stands, and the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something stands that a run needs."""

    OK = "ok"
    MISSING = "missing"  # it can be had
    WRONG = "wrong"  # it must be changed
    UNKNOWN = "unknown"  # nobody can tell from here


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: `subject` is the part of the recipe, `what` is about it."""

    subject: str
    what: str
    state: State
    remedy: str = ""

    @property
    def is_good(self) -> bool:
        """Whether a run may begin for all that this says."""
        return self.state in (State.OK, State.UNKNOWN)
