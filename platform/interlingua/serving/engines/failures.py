"""Whose fault it is that a model failed: a row's, or the model's own. Knows no model."""

from collections.abc import Sequence

from interlingua.serving.backend import NotAvailable, Refused
from interlingua.serving.engines.av_requests import Request

EXPECTED = Refused | NotAvailable


class Failures:
    """Requests of rows that failed alone, until all of their batch were drawn again."""

    def __init__(self) -> None:
        self._found: list[tuple[Request, Exception]] = []
        self._has_drawn = False  # whether a row of that batch came to its end

    @property
    def are_open(self) -> bool:
        """Whether any request waits to be ended."""
        return bool(self._found)

    def begin(self) -> None:
        """A batch failed, and its rows are drawn again."""
        self._has_drawn = False

    def add(self, request: Request, error: Exception) -> None:
        """A row failed alone."""
        self._found.append((request, error))

    def drawn(self) -> None:
        """A row came to its end."""
        self._has_drawn = True

    def settle(self) -> None:
        """End the requests: of a row that failed with nobody beside it nothing more is known."""
        errors = [error for _, error in self._found]
        is_model = len(errors) > 1 and not self._has_drawn and are_alike(errors)
        for request, error in self._found:
            request.end(
                NotAvailable(of_model(error))
                if is_model
                else Refused("activations", f"the model fails on this activation: {words(error)}")
            )
        self._found.clear()


def are_alike(errors: Sequence[Exception | None]) -> bool:
    """Whether all that was run alone failed in one way that says nothing of what was run."""
    kinds = {type(error) for error in errors}
    return len(kinds) == 1 and not isinstance(errors[0], EXPECTED | None)


def of_model(error: Exception) -> str:
    """What is said where the model fails on everything."""
    return f"the model fails on all that is asked: {words(error)}"


def words(error: Exception) -> str:
    """An error of a model in a sentence."""
    return f"{type(error).__name__}: {error}"
