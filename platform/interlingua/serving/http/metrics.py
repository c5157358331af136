"""Requests by route and status, for Prometheus; a registry of its own for every app."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from starlette.responses import Response

from interlingua.serving.http.access import Exchange

NO_ROUTE = "none"  # of paths that anybody may invent
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one app; engines may add collectors to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["route", "status"]
        self._requests = Counter(
            "interlingua_requests", "Requests that are over.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "interlingua_request_seconds",
            "Seconds from the first byte in to the last byte out.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )
        self._rows = Counter(
            "interlingua_rows", "Activations and texts asked for.", labels, registry=self.registry
        )

    def count(self, exchange: Exchange) -> None:
        """Take in a request that is over."""
        labels = (exchange.route or NO_ROUTE, str(exchange.status))
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(exchange.seconds)
        self._rows.labels(*labels).inc(exchange.rows)

    async def page(self) -> Response:
        """All of them as text."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
