"""Ray Serve's side of `bench.serve`: our application, and a plain `@serve.batch`."""

import json
import sys
from typing import Any

from ray import serve

from bench.serve_bundle import HOST
from bench.serve_peers import LIMITS, MOST, PLAIN, WAIT_S, Asked, Model
from interlingua.cluster.serving import PARTS, Replicas, ServeSpec, application
from interlingua.cluster.session import ray_session
from interlingua.serving.own.app import Settings


class Plain:
    """A deployment as Ray Serve's own guide to batching has it."""

    def __init__(self, bundle: str) -> None:
        self._model = Model(bundle)

    @serve.batch(max_batch_size=MOST, batch_wait_timeout_s=WAIT_S)
    async def answers(self, asked: list[Asked]) -> list[str]:
        """A text for each of a batch."""
        # In the loop, as in the guide: from a thread, a batch would be closed 10 ms behind its
        # first request also while the model is busy, and most of them hold one.
        return self._model.answers(asked)

    async def __call__(self, request: Any) -> Any:
        """A text for the body of a request; without one, the sizes of batches so far."""
        if request.method == "GET":
            return {"batches": self._model.num_batches, "rows": self._model.num_rows}
        return {"texts": [await self.answers(json.loads(await request.body()))]}


def over_ray(bundle: str, port: int) -> None:
    """Both applications behind one proxy, until standard input ends."""
    plain = serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})(Plain)
    few = {part: Replicas(num_cpus=0.1) for part in (*PARTS, "ingress")}
    settings = Settings(has_access_log=False)
    spec = ServeSpec(bundles={HOST: bundle}, limits=LIMITS, settings=settings, parts=few)
    with ray_session():
        serve.start(http_options={"host": "127.0.0.1", "port": port, "location": "HeadOnly"})
        serve.run(plain.bind(bundle), name="plain", route_prefix=PLAIN)
        serve.run(application(spec), name="ours", route_prefix="/")
        sys.stdin.read()
