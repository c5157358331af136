"""An endpoint over engines of a real bundle gives what its NLA gives in this process."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.serving.client.served import neuronpedia_alone

from interlingua.commands.using.verbalize import main, verbalize_parser
from interlingua.serving.backend import Limits
from interlingua.serving.client.endpoint import Endpoint
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.shared import description_in

pytestmark = pytest.mark.slow

HOST, OTHER = "toy-gpt2-medium", "toy-lfm-7b"
TEXTS = [
    "dear friend, there was rain.",
    "the farmer happily carried a basket.",
    "report from Velsk. the guard moored the ship.",
    "a poet sings at the market, and the baker listens to all of it until the evening comes.",
    "it was late.",
]
DRAWN = {"n": 3, "temperature": 1.0, "seed": 11, "max_new_tokens": 24}


@pytest.fixture(scope="module")
def engines(bundle):
    # Small ones, so that a call of this file is several requests.
    backend = opened_backend(bundle, limits=Limits(max_batch_rows=4))
    yield backend
    backend.close()


@pytest.fixture
def endpoint(switch, engines):
    return Endpoint(switch.over(make_app({"mini": engines}, Settings())))


def test_activations_are_those_of_the_host(endpoint, nla, engines):
    assert list(endpoint.hosts) == list(nla.hosts)
    for positions in (None, [[0, -1], [3], [2, 1], [-2], [0]]):
        found, expected = (one.read(TEXTS, OTHER, positions) for one in (endpoint, nla))
        np.testing.assert_allclose(found.h_ND, expected.h_ND, rtol=1e-5, atol=1e-5)
        assert [*found.texts] == [*expected.texts]
        assert [*found.positions] == [*expected.positions]


def assert_equal(found, expected):
    """Texts exactly, numbers but for the order of sums."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert [one.raw_text for one in ours] == [one.raw_text for one in theirs]
        assert [one.explanation for one in ours] == [one.explanation for one in theirs]
        assert [one.share_nearer for one in ours] == [one.share_nearer for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-3)


@pytest.mark.parametrize("options", [{"max_new_tokens": 24}, DRAWN], ids=["greedy", "drawn"])
def test_texts_are_those_of_the_av(endpoint, nla, options):
    h_ND = np.concatenate([nla.read(TEXTS, HOST).h_ND, -nla.read(TEXTS, HOST).h_ND])
    assert_equal(endpoint.verbalize(h_ND, HOST, **options), nla.verbalize(h_ND, HOST, **options))


def test_bans_and_prefixes_are_those_of_the_av(endpoint, nla):
    h_ND = nla.read(TEXTS, HOST).h_ND
    (first, *_) = nla.verbalize(h_ND, HOST, **DRAWN)
    assert_equal([first], [nla.verbalize(h_ND[:1], HOST, **DRAWN)[0]])
    options = {**DRAWN, "prefix": "<explanation>\n", "banned": list(range(40, 60))}
    found, expected = (one.verbalize(h_ND, HOST, **options) for one in (endpoint, nla))
    assert_equal(found, expected)
    assert all(one.raw_text.startswith("<explanation>\n") for one in sum(found, []))


def test_a_stream_is_what_is_drawn_in_this_process(endpoint, nla):
    h_ND = nla.read(TEXTS, HOST).h_ND
    streams = {}
    for name, one in (("endpoint", endpoint), ("nla", nla)):
        seen = streams.setdefault(name, {})

        def watch(row, sample, text, seen=seen):
            seen.setdefault((row, sample), []).append(text.rstrip("\ufffd"))

        drawn = one.verbalize(h_ND, HOST, on_token=watch, **DRAWN)
        assert {key: texts[-1] for key, texts in seen.items()} == {
            (row, sample): text.raw_text.rstrip("\ufffd")
            for row, samples in enumerate(drawn)
            for sample, text in enumerate(samples)
        }
    assert streams["endpoint"] == streams["nla"]


def test_vectors_and_numbers_are_those_of_the_ar(endpoint, nla):
    texts = ["topic farm. sounds glad.", None, "a guard appears.", *TEXTS]
    for host in (HOST, None):
        found_ND, expected_ND = (one.reconstruct(texts, host) for one in (endpoint, nla))
        assert found_ND.shape == expected_ND.shape and found_ND.dtype == expected_ND.dtype
        np.testing.assert_allclose(found_ND, expected_ND, rtol=1e-4, atol=1e-5)
    alone_ND = nla.reconstruct(texts[:1], HOST).astype(np.float32)  # one text is one batch
    assert endpoint.reconstruct(texts[:1], HOST).astype(np.float32).tobytes() == alone_ND.tobytes()
    h_ND = nla.read(TEXTS, HOST).h_ND
    trips, expected = (one.round_trips(h_ND, HOST, max_new_tokens=24) for one in (endpoint, nla))
    scores = endpoint.score([trip.verbalization.explanation for trip in trips], h_ND, HOST)
    for row, (trip, other) in enumerate(zip(trips, expected, strict=True)):
        assert trip.verbalization.raw_text == other.verbalization.raw_text
        assert trip.cosine == pytest.approx(other.cosine, abs=1e-5)
        assert trip.nmse == pytest.approx(other.nmse, abs=1e-5)
        np.testing.assert_array_equal(trip.activation_D, other.activation_D)
        np.testing.assert_allclose(trip.rebuilt_D, other.rebuilt_D, rtol=1e-4, atol=1e-5)
        if trip.verbalization.explanation is not None:
            assert scores.nmse_N[row] == pytest.approx(trip.nmse, abs=1e-5)


def test_the_protocol_of_neuronpedia_gives_the_same_texts(switch, engines, nla):
    endpoint = Endpoint(switch.over(neuronpedia_alone(engines)))
    (host,) = endpoint.hosts
    assert host == nla.manifest.anchor
    positions = [[-1], [0, 2], [], [4], [1]]
    h_ND = endpoint.read(TEXTS, host, positions).h_ND
    expected_ND = nla.read(TEXTS, host, positions).h_ND
    np.testing.assert_allclose(h_ND, expected_ND, rtol=1e-5, atol=1e-5)
    drawn = nla.verbalize(h_ND, host, max_new_tokens=24)
    texts = [description_in(one.raw_text) for (one,) in drawn]
    trips = endpoint.round_trips(h_ND, host, max_new_tokens=24)
    assert [trip.verbalization.raw_text for trip in trips] == texts
    scores = endpoint.score([text or None for text in texts], h_ND, host)
    np.testing.assert_allclose([trip.nmse for trip in trips], scores.nmse_N, atol=1e-5)


def test_the_example_of_the_documentation_works(switch, engines, capsys):
    text = (Path(__file__).parents[3] / "docs/serving.md").read_text()
    section = text.partition("## From Python")[2]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    assert "Endpoint(" in code
    url = switch.over(make_app({"demo": engines}, Settings()))
    exec(code.replace("http://127.0.0.1:8000", url), {})
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("source", ["texts", "vectors"])
def test_the_job_prints_and_stores_the_same_from_a_url(
    source, switch, engines, nla, bundle, tmp_path, capsys
):
    (tmp_path / "texts").write_text("\n".join(TEXTS))
    np.save(tmp_path / "vectors.npy", nla.read(TEXTS, HOST).h_ND)
    file = tmp_path / ("texts" if source == "texts" else "vectors.npy")
    url = switch.over(make_app({"other": engines, "mini": engines}, Settings()))
    printed, stored = [], []
    for name, system in (("nla", [bundle]), ("url", ["--endpoint", url, "--model", "mini"])):
        arguments = [
            *system, "--host", HOST, f"--{source}", file, "--max-new-tokens", 24,
            "--out", tmp_path / name,
        ]  # fmt: skip
        main(verbalize_parser().parse_args([*map(str, arguments)]))
        printed.append(capsys.readouterr().out)
        stored.append([json.loads(line) for line in (tmp_path / name).open()])
    assert printed[0] == printed[1] and printed[0].count(f"{HOST}, cosine") == len(TEXTS)
    assert len(stored[0]) == len(stored[1]) == len(TEXTS)
    for ours, theirs in zip(*stored, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            if name in ("log_prob", "cosine", "nmse"):
                value = pytest.approx(value, abs=1e-5)
            assert theirs[name] == value, name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--endpoint", "http://127.0.0.1:1"], "lie beside a bundle, .* give --texts or --vectors"),
        (["--endpoint", "http://127.0.0.1:1", "--ids", "ab"], "also those of --ids, lie beside"),
        (["--endpoint", "http://127.0.0.1:1", "--device", "cpu"], "--device is of a bundle"),
        (["folder", "--model", "a"], "--model names a bundle of a server; give --endpoint"),
    ],
)
def test_what_a_server_or_a_bundle_alone_has_is_said(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        main(verbalize_parser().parse_args([*arguments, "--host", HOST]))


@pytest.mark.parametrize("arguments", [[], ["folder", "--endpoint", "http://127.0.0.1:1"]])
def test_one_of_bundle_and_endpoint_is_needed(arguments, capsys):
    with pytest.raises(SystemExit):
        verbalize_parser().parse_args([*arguments, "--host", HOST])
    error = capsys.readouterr().err
    assert "one of the arguments bundle --endpoint is required" in error or (
        "argument --endpoint: not allowed with argument bundle" in error
    )
