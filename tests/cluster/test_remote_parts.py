"""What a replica refuses comes back as a value, and is raised where it was asked; without Ray."""

import asyncio

import pytest

from interlingua.cluster.remote_parts import RemotePart
from interlingua.cluster.serving import AV, HOSTS, PartReplica
from interlingua.models.bundle.nla import NLA
from interlingua.models.bundle.system import Sampling
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Prompt, Refused
from interlingua.serving.own.serve_spec import ServeSpec
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = pytest.mark.slow

HOST = "toy-gpt2-medium"
TEXT = "dear friend, the farmer happily carried a basket."


class Response:
    """An answer on its way from a replica."""

    def __init__(self, found):
        self._found, self.is_cancelled = found, False

    def __await__(self):
        return self._found.__await__()

    def __aiter__(self):
        return self._found

    def cancel(self):
        self.is_cancelled = True


class Handle:
    """Of a replica in this process."""

    def __init__(self, replica):
        self._replica, self.responses = replica, []

    def options(self, *, stream):
        return self

    def __getattr__(self, name):
        handle = self

        class Method:
            def remote(self, *arguments):
                found = getattr(handle._replica, name)(*arguments)
                handle.responses.append(Response(found))
                return handle.responses[-1]

        return Method()


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture
def parts(bundle):
    """The part that is asked, its replica and its handle, by name."""

    def made(name):
        replica = PartReplica(name, ServeSpec(bundles={"mini": str(bundle)}))
        handle = Handle(replica)
        return RemotePart("mini", handle), replica, handle

    return made


def test_a_refusal_of_one_answer(parts):
    part, replica, _ = parts(HOSTS)

    async def ask():
        found = await replica.read("mini", HOST, Prompt(text=TEXT), [99], {})
        assert isinstance(found, Refused)
        with pytest.raises(Refused, match="position is 99"):
            await part.read(HOST, Prompt(text=TEXT), [99])
        return await part.read(HOST, Prompt(text=TEXT), [0])

    assert asyncio.run(ask()).h_ND.shape == (1, 32)


def test_a_refusal_of_a_stream(parts, bundle):
    nla = NLA.load(bundle)
    part, replica, handle = parts(AV)
    h_ND = nla.read([TEXT], HOST).h_ND
    wrong, right = Sampling(banned=(10**6,)), Sampling(max_new_tokens=8)

    async def ask():
        found = [one async for one in replica.verbalize("mini", HOST, h_ND, wrong, False)]
        assert [type(one) for one in found] == [Refused]
        with pytest.raises(Refused, match="banned"):
            async for _ in part.verbalize(HOST, h_ND, wrong, wants_partial=False):
                raise AssertionError
        steps = [one async for one in part.verbalize(HOST, h_ND, right, wants_partial=False)]
        return steps[-1][-1].done.raw_text

    [[expected]] = nla.verbalize(h_ND, HOST, max_new_tokens=8)
    assert asyncio.run(ask()) == expected.raw_text
    assert not any(response.is_cancelled for response in handle.responses)


def test_who_leaves_a_stream_cancels_it(parts, bundle):
    part, _, handle = parts(AV)
    h_ND = NLA.load(bundle).read([TEXT], HOST).h_ND

    async def ask():
        steps = part.verbalize(HOST, h_ND, Sampling(max_new_tokens=64), wants_partial=True)
        await anext(steps)
        await steps.aclose()

    asyncio.run(ask())
    assert [response.is_cancelled for response in handle.responses] == [True]
