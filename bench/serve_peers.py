"""Servers of one bundle as a user would write them around `NLA`, and ours, each in this process.

    python -m bench.serve_peers unbatched|collected|ours BUNDLE PORT
    python -m bench.serve_peers ray BUNDLE PORT     # ours at /, plain `@serve.batch` at /plain

Peers decode with our `Decoder`, which is faster than `generate` (bench/decoding.py): what differs
is how requests meet. They answer {"texts": [...]} to {"activations": ...} or {"text": ...}.
"""

import asyncio
import json
import sys
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from bench.serve_bundle import HOST
from interlingua.models.bundle.nla import NLA
from interlingua.serving.backend import Limits

MOST, WAIT_S = 16, 0.01  # of a batch of a peer
NUM_NEW = 24
PLAIN = "/plain"
LIMITS = Limits(timeout_s=600)

Asked = dict[str, Any]


class Model:
    """An NLA that answers bodies of requests, several at once."""

    def __init__(self, bundle: str) -> None:
        torch.set_num_threads(1)
        self._nla = NLA.load(bundle)
        self.num_batches = self.num_rows = 0

    def answers(self, asked: Sequence[Asked]) -> list[str]:
        """A text for each; those that bring a text are read together first."""
        self.num_batches, self.num_rows = self.num_batches + 1, self.num_rows + len(asked)
        h_ND = np.zeros((len(asked), self._nla.maps.width(HOST)), np.float32)
        texts = [place for place, one in enumerate(asked) if "text" in one]
        if texts:
            h_ND[texts] = self._nla.read([asked[place]["text"] for place in texts], HOST).h_ND
        for place, one in enumerate(asked):
            if "activations" in one:
                h_ND[place] = np.frombuffer(b64decode(one["activations"]["base64"]), "<f4")
        drawn = self._nla.verbalize(h_ND, HOST, max_new_tokens=NUM_NEW)
        return [row[0].raw_text for row in drawn]


def unbatched(bundle: str) -> FastAPI:
    """One request after the other, in the threads that FastAPI gives."""
    model, lock = Model(bundle), threading.Lock()

    def alone(asked: Asked) -> str:
        with lock:
            return model.answers([asked])[0]

    async def answer(asked: Asked) -> str:
        return await run_in_threadpool(alone, asked)

    return _app(answer)


def collected(bundle: str) -> FastAPI:
    """A collector: the first waits 10 ms for others, up to 16 are drawn in lockstep."""
    model = Model(bundle)
    queue: asyncio.Queue[tuple[Asked, asyncio.Future[str]]] = asyncio.Queue()
    tasks: set[asyncio.Task[None]] = set()

    async def collect() -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await queue.get()]
            until = loop.time() + WAIT_S
            while len(batch) < MOST and (queue.qsize() or loop.time() < until):
                left = max(0.0, until - loop.time())
                try:
                    batch.append(await asyncio.wait_for(queue.get(), left or 0.001))
                except TimeoutError:
                    break
            texts = await run_in_threadpool(model.answers, [asked for asked, _ in batch])
            for (_, future), text in zip(batch, texts, strict=True):
                future.set_result(text)

    async def answer(asked: Asked) -> str:
        if not tasks:
            tasks.add(asyncio.create_task(collect()))
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await queue.put((asked, future))
        return await future

    return _app(answer, model)


def ours(bundle: str) -> FastAPI:
    """`LocalBackend` behind its app, with timers around the parts of its engine."""
    from bench.serve_timers import Timers
    from interlingua.serving.engines.local import opened_backend
    from interlingua.serving.own.app import Settings, make_app

    torch.set_num_threads(1)
    timers = Timers()
    backend = opened_backend(bundle, limits=LIMITS)
    app = make_app({HOST: backend}, Settings(has_access_log=False))
    app.add_middleware(timers.middleware)
    app.router.routes.insert(0, timers.route())
    return app


def _app(answer: Callable[[Asked], Awaitable[str]], model: Model | None = None) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def verbalize(request: Request) -> Any:
        return {"texts": [await answer(json.loads(await request.body()))]}

    @app.get("/")
    async def counts() -> Any:
        return {"batches": model.num_batches, "rows": model.num_rows} if model else {}

    return app


def main() -> None:
    """Serve until standard input ends, as it does when the bench does, however that comes about."""
    kind, bundle, port = sys.argv[1], str(Path(sys.argv[2]).resolve()), int(sys.argv[3])
    if kind == "ray":
        from bench.serve_ray import over_ray

        over_ray(bundle, port)
        return
    app = {"unbatched": unbatched, "collected": collected, "ours": ours}[kind](bundle)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))

    def end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
