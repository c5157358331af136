"""What a worker itself raised, without Ray's wrapping of it. Knows neither stages nor pools."""

from typing import Any


def raised_by_worker(ray: Any, error: Any) -> BaseException:
    """The worker's own exception; Ray's, where the worker raised none."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return error.cause
    if isinstance(error, ray.exceptions.UnserializableException):
        # Raised by a class that cannot be copied between processes; its own line comes last.
        return RuntimeError(str(error).strip().splitlines()[-1])
    return error
