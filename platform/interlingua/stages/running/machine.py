"""What the driver's machine was busy with while a recipe was built. Knows no tracker's names."""

import logging
import time
from collections.abc import Callable, Mapping

from interlingua.tracking.runs import Report

SAMPLE_EVERY_SECONDS = 10.0

logger = logging.getLogger(__name__)


class MachineLog:
    """Samples, now and then, and never stops its caller; steps are seconds since `began`."""

    def __init__(self, measure: Callable[[], Mapping[str, float]], began: float) -> None:
        self._measure, self._began = measure, began
        self.reports: list[Report] = []
        self._is_broken, self._last = False, 0.0

    def sample(self) -> None:
        """Add a sample if the last one is old enough."""
        now = time.time()
        if self._is_broken or now - self._last < SAMPLE_EVERY_SECONDS:
            return
        self._last = now
        try:
            values = self._measure()
        except Exception as error:  # whatever it is: no result is lost by it
            logger.warning("this machine is not measured: %s: %s", type(error).__name__, error)
            self._is_broken, values = True, {}
        if values:
            self.reports.append(Report(step=int(now - self._began), time=now, values=values))
