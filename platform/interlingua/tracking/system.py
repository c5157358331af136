"""What this machine is busy with, by the names that MLflow's own page looks for. Knows no run."""

from collections.abc import Mapping
from typing import Any


class SystemMonitors:
    """MLflow's own monitors of processor, memory, disk, network and, where there are any, GPUs."""

    def __init__(self) -> None:
        # Imported here: they import all of MLflow.
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        self._monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *_gpus()]
        self.sample()  # the first value of a processor is none: it is since it was asked last

    def sample(self) -> Mapping[str, float]:
        """Every number now."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return found


def _gpus() -> list[Any]:
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return [GPUMonitor()]
    except (ImportError, RuntimeError):  # no library for them, or no card: nothing to show
        return []
