"""Bundles behind Ray Serve: hosts, AV and AR in deployments of their own, and an ingress.

A replica opens a bundle when it is first asked for, and keeps the last few. Queues are in the
engines, not in Serve: they turn away at once what they cannot hold, and drop what was cancelled.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.serve.deployment import Application
from ray.serve.schema import LoggingConfig

from interlingua.cluster.remote_parts import EXPECTED, RemotePart
from interlingua.cluster.session import cpus_at_most, ray_session
from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import (
    Backend,
    Piece,
    Prompt,
    Reading,
)
from interlingua.serving.engines.open_parts import OpenParts
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.page import page_folder, page_router
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import make_app
from interlingua.serving.own.serve_spec import AR, AV, HOSTS, INGRESS, PARTS, Replicas, ServeSpec
from interlingua.serving.protocols.routers import every_router

APPLICATION = "interlingua"
# A forward holds the thread of the model, never the loop that answers; but cores may be few.
HEALTH_TIMEOUT_S = 120.0
Steps = Sequence[Piece] | Exception
# Ray's threads allocate there for every piece; with arenas of their own they only ever took more.
QUIET = LoggingConfig(log_level="WARNING")  # Serve tells of every step of its own
INGRESS_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}


def application(spec: ServeSpec) -> Application:
    """The Serve application of these bundles."""
    deployed = {part: _deployment(spec, part) for part in PARTS}
    replicas = spec.replicas(INGRESS)
    ingress = serve.deployment(
        name=INGRESS,
        ray_actor_options={
            "num_cpus": replicas.num_cpus,
            "runtime_env": {"env_vars": _own_variables() | INGRESS_ENVIRONMENT},
        },
        max_ongoing_requests=4096,
        graceful_shutdown_timeout_s=spec.limits.timeout_s,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        **_scaling(replicas),
    )(Ingress)
    return ingress.bind(spec, **deployed)


@contextmanager
def served(spec: ServeSpec, *, host: str, port: int) -> Iterator[None]:
    """Serve at this address while the block runs; behind it, what was begun is answered."""
    with ray_session() as ray:
        spec = spec.within(cpus_at_most(ray))
        logging.getLogger("ray.serve").setLevel(logging.WARNING)  # of this process
        serve.start(
            http_options={"host": host, "port": port, "location": "HeadOnly"},
            logging_config=QUIET,
        )
        try:
            serve.run(application(spec), name=APPLICATION, logging_config=QUIET)
            yield
        finally:
            serve.delete(APPLICATION)
            serve.shutdown()


class PartReplica:
    """One part of every bundle that was asked for of late; gives back what it expects to refuse."""

    def __init__(self, part: str, spec: ServeSpec) -> None:
        import torch

        from interlingua.models.bundle.shared_weights import SharedWeights

        self._part, self._spec = part, spec
        self._replicas = spec.replicas(part)
        torch.set_num_threads(self._replicas.num_threads)
        self._shared = SharedWeights()  # of bundles on one trunk
        # What cannot be opened is said when it is deployed, not to the first who asks.
        first, *_ = spec.bundles
        self._parts: OpenParts[Any] = OpenParts(first, self._open, spec.most_open)

    async def read(
        self, bundle: str, host: str, prompt: Prompt, positions: Any, options: dict[str, bool]
    ) -> Reading | Exception:
        """As `Hosts.read`."""
        try:
            async with self._parts.using(bundle) as part:
                reading: Reading = await part.read(host, prompt, positions, **options)
        except EXPECTED as error:
            return error
        return reading

    async def reconstruct(
        self, bundle: str, texts: Sequence[str], host: str | None
    ) -> np.ndarray | Exception:
        """As `Ar.reconstruct`."""
        try:
            async with self._parts.using(bundle) as part:
                rows_ND: np.ndarray = await part.reconstruct(texts, host)
        except EXPECTED as error:
            return error
        return rows_ND

    async def verbalize(
        self, bundle: str, host: str, h_ND: np.ndarray, sampling: Sampling, wants_partial: bool
    ) -> AsyncIterator[Steps]:
        """As `Av.verbalize`."""
        steps = self._steps(
            bundle, lambda part: part.verbalize(host, h_ND, sampling, wants_partial=wants_partial)
        )
        async with aclosing(steps):
            async for pieces in steps:
                yield pieces

    async def verbalize_zero(
        self, bundle: str, host: str, count: int, sampling: Sampling, wants_partial: bool
    ) -> AsyncIterator[Steps]:
        """As `Av.verbalize_zero`."""
        steps = self._steps(
            bundle,
            lambda part: part.verbalize_zero(host, count, sampling, wants_partial=wants_partial),
        )
        async with aclosing(steps):
            async for pieces in steps:
                yield pieces

    async def generate(
        self, bundle: str, parts: Sequence[str | np.ndarray], sampling: Sampling, as_chat: bool
    ) -> AsyncIterator[Steps]:
        """As `Av.generate`."""
        steps = self._steps(bundle, lambda part: part.generate(parts, sampling, as_chat=as_chat))
        async with aclosing(steps):
            async for pieces in steps:
                yield pieces

    async def _steps(
        self, bundle: str, draw: Callable[[Any], AsyncGenerator[Sequence[Piece]]]
    ) -> AsyncGenerator[Steps]:
        try:
            async with self._parts.using(bundle) as part, aclosing(draw(part)) as steps:
                async for pieces in steps:
                    yield pieces
        except EXPECTED as error:
            yield error

    def _open(self, bundle: str) -> Any:
        from interlingua.models.bundle.proved import ProvedBundle
        from interlingua.serving.engines.parts import Ar, Av, Hosts

        made = {HOSTS: Hosts, AV: Av, AR: Ar}[self._part]
        folder, device = self._spec.bundles[bundle], self._replicas.device
        proved = ProvedBundle.of(folder, device, shared=self._shared)
        return made(proved, self._spec.limits)


@serve.ingress()
class Ingress:
    """The HTTP app; holds no model."""

    def __init__(self, spec: ServeSpec, hosts: Any, av: Any, ar: Any) -> None:
        self._spec = spec
        self._backends: dict[str, Backend] = {
            name: _backend(name, folder, spec, hosts, av, ar)
            for name, folder in spec.bundles.items()
        }

    def __serve_build_asgi_app__(self) -> Any:
        evaluations = Evaluations(
            self._spec.evaluations, self._spec.bundles, most_open=self._spec.most_open
        )
        stored = EvaluationsApi(evaluations, self._spec.limits).router()
        routers = [*every_router(), stored, page_router(page_folder())]
        return make_app(self._backends, self._spec.settings, routers)


def _own_variables() -> dict[str, str]:
    """Variables that this process was started with: Serve hands them to no deployment with its own.

    Without them an ingress on another node would not find the package.
    """
    if not ray.is_initialized():
        return {}
    return dict(ray.get_runtime_context().runtime_env.get("env_vars", {}))


def _deployment(spec: ServeSpec, part: str) -> Application:
    replicas = spec.replicas(part)
    deployment = serve.deployment(
        name=part,
        ray_actor_options={"num_cpus": replicas.num_cpus, "num_gpus": replicas.num_gpus},
        # Above what its engine takes: whoever is too many must hear so, not wait in Serve's queue.
        max_ongoing_requests=4 * spec.limits.max_queued_rows,
        graceful_shutdown_timeout_s=spec.limits.timeout_s,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        **_scaling(replicas),
    )(PartReplica)
    return deployment.bind(part, spec)


def _scaling(replicas: Replicas) -> dict[str, Any]:
    if replicas.least == replicas.most:
        return {"num_replicas": replicas.most}
    return {
        "autoscaling_config": {
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": replicas.target_ongoing,
            "upscale_delay_s": 2.0,
            "downscale_delay_s": 10.0,
        }
    }


def _backend(name: str, folder: str, spec: ServeSpec, hosts: Any, av: Any, ar: Any) -> Backend:
    from interlingua.serving.engines.card import card_of
    from interlingua.serving.engines.joined import JoinedBackend
    from interlingua.store.bundle import read_manifest

    card = card_of(Path(folder), read_manifest(Path(folder)), spec.limits)
    card = replace(card, name=name, devices={part: spec.replicas(part).device for part in PARTS})
    return JoinedBackend(card, RemotePart(name, hosts), RemotePart(name, av), RemotePart(name, ar))
