"""Errors of workers and roles without Ray's wrapping. Knows neither stages nor pools."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ERRORS_NAME = "errors.jsonl"
# For the errors of the other roles: the one that comes first may only follow from theirs.
GRACE_SECONDS = 2.0


class AttemptLost(RuntimeError):
    """This attempt of a run cannot go on; another one may."""


class RoleDied(AttemptLost):
    """A role is gone, or does not answer any more."""


class RoleFailed(RuntimeError):
    """A role ran into an error; another attempt would run into it again."""


class StaleAttempt(AttemptLost):
    """A role was asked by an attempt that is over: another one has begun."""


def raised_by_worker(ray: Any, error: Any) -> BaseException:
    """The worker's own exception; Ray's, where the worker raised none."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return error.cause
    if isinstance(error, ray.exceptions.UnserializableException):
        # Raised by a class that cannot be copied between processes; its own line comes last.
        return RuntimeError(str(error).strip().splitlines()[-1])
    return error


def is_ours(error: BaseException) -> bool:
    """True for an exception class of this project."""
    return type(error).__module__.startswith("interlingua.")


def is_complaint(error: BaseException) -> bool:
    """True where the error may be a collective's, which only says that another rank is gone."""
    # torch.distributed raises RuntimeErrors, gloo plain ones: no narrower type finds them all.
    return isinstance(error, (ConnectionError, RuntimeError)) and not is_ours(error)


def answers(ray: Any, asked: Sequence[tuple[str, Any]], *, patience_seconds: float) -> list[Any]:
    """Answers to (role, reference) pairs, in order; raises the root cause where one has none."""
    references = [reference for _, reference in asked]
    try:
        # One call for all of them: the first error wins, also where another role is still busy.
        found: list[Any] = ray.get(references, timeout=patience_seconds)
        return found
    except (ray.exceptions.RayError, TimeoutError) as error:
        cause = _root_cause(ray, asked)
        if cause is None:
            roles = ", ".join(dict.fromkeys(role for role, _ in asked))
            cause = RoleDied(f"{roles}: no answer for {patience_seconds:g} s ({_brief(error)})")
        raise cause from None


def note_error(out: Path, error: BaseException) -> None:
    """Append to the file of errors that ended attempts, in the stage's folder."""
    line = {"time": time.time(), "error": _brief(error)}
    with (out / ERRORS_NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def noted_errors(out: Path) -> list[str]:
    """Noted errors, the oldest first."""
    path = out / ERRORS_NAME
    lines = path.read_text().splitlines() if path.exists() else []
    return [str(json.loads(line)["error"]) for line in lines]


def _root_cause(ray: Any, asked: Sequence[tuple[str, Any]]) -> BaseException | None:
    """The first there is of: a role's own exception, a dead role, a complaint of a collective."""
    # A rank that dies makes its peers fail in their next collective, and their errors, which name
    # no cause, can come before its own.
    references = [reference for _, reference in asked]
    ready, _ = ray.wait(references, num_returns=len(references), timeout=GRACE_SECONDS)
    own: list[BaseException] = []
    dead, complaints = [], []
    for role, reference in asked:
        if reference not in ready:
            continue
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = raised_by_worker(ray, error)
            while isinstance(cause, ray.exceptions.RayTaskError):  # of a worker's own worker
                cause = cause.cause
            if isinstance(cause, (ray.exceptions.RayError, TimeoutError)):
                dead.append(RoleDied(f"{role}: {_brief(cause)}"))
                continue
            has_others = sum(other == role for other, _ in asked) > 1
            if not is_complaint(cause):
                own.append(cause)
            elif has_others:
                complaints.append(RoleDied(f"{role}: {_brief(cause)}"))
            else:  # there is nobody whom it could complain of
                own.append(RoleFailed(f"{role}: {_brief(cause)}"))
        except ray.exceptions.RayError as error:
            dead.append(RoleDied(f"{role} is gone ({type(error).__name__})"))
    return next(iter([*own, *dead, *complaints]), None)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
