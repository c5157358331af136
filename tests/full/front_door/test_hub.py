"""A dataset and a model of the hub become a bundle; fetched once, no hub is needed again."""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants
from tests.own_data import TAG, built, own_recipe
from tests.own_model import save_model, texts
from tests.sources.hub import COMMIT, serving, use

from interlingua import NLA
from interlingua.models.hosts.host import load_tokenizer
from interlingua.report.numbers import NLL, NUMBERS_NAME, read_numbers
from interlingua.specs.corpora import HubText
from interlingua.specs.evaluation import Predictor
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExtractiveTeacher
from interlingua.stages.rows.passages import SHARDS_NAME
from interlingua.store.record import read_record
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import SplitAccess

REPOSITORY = Path(__file__).parents[3]
DATASET, MODEL = "org/stories", "org/tiny"
PER_SHARD, FIRST, COUNT = 120, 20, 180
SEED, PER_PASSAGE, MIN_POSITION, BLOCK = 42, 5, 50, 1
MAX_TOKENS = 512  # of the recipe


def recipe() -> Recipe:
    """Token positions as the public release draws them, of documents of the hub."""
    return own_recipe(
        Path(),
        model=HubHost(tag=TAG, source=MODEL, revision=COMMIT),
        texts=HubText(
            dataset=DATASET,
            revision=COMMIT,
            files="data/train-*.parquet",
            name="stories:train",
            first=FIRST,
            count=COUNT,
        ),
        explanations=ExtractiveTeacher(next_tokens=3),
        read=TokenPositions(
            per_passage=PER_PASSAGE, min_position=MIN_POSITION, seed=SEED, keyed_by="document"
        ),
        block=AtBlock(index=BLOCK),
    )


def parquet(rows: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": rows}), sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def documents() -> list[str]:
    told = texts(4 * PER_SHARD)
    return [" ".join(two) for two in zip(told[::2], told[1::2], strict=True)]


@pytest.fixture(scope="module")
def hub(documents, tmp_path_factory):
    """A hub with both repositories, and files of theirs that nobody asks for."""
    model = save_model(tmp_path_factory.mktemp("model"))
    with serving() as served:
        shards = {
            f"data/train-{number}.parquet": parquet(documents[number * PER_SHARD :][:PER_SHARD])
            for number in range(2)
        }
        others = {".gitattributes": b"", "README.md": b"# Stories\n", "data/test-0.parquet": b""}
        served.add(DATASET, shards | others)
        files = {path.name: path.read_bytes() for path in model.iterdir()}
        pickled = {".gitattributes": b"", "pytorch_model.bin": b"never opened"}
        served.add(MODEL, files | pickled, kind="model")
        yield served


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def artifacts(hub, home, tmp_path_factory):
    """All artifacts of the recipe, built while the hub answers."""
    with pytest.MonkeyPatch.context() as patched:
        use(hub, home, patched)
        return built(recipe(), tmp_path_factory.mktemp("runs"))


def test_the_bundle_opens_and_the_numbers_are_there(artifacts, hub, home, monkeypatch):
    use(hub, home, monkeypatch)
    nla = NLA.load(artifacts["bundle", "own"].path)
    h_D = nla.activation("the farmer carried a basket.", TAG, position=-1)
    [[one]] = nla.verbalize(h_D, TAG, max_new_tokens=6)
    assert one.raw_text
    numbers = read_numbers(artifacts["evaluation", "own"].path / NUMBERS_NAME)
    assert numbers.get(TAG, Predictor.SAMPLED, "nmse").num_units > 5


def test_documents_are_called_as_the_release_calls_them(artifacts, documents):
    path = artifacts["passages", "hub_text"].path / PASSAGES_NAME
    passages = list(read_passages(path, set(Split), SplitAccess(Split)))
    named = {one.document_id: one.text for one in passages}
    expected = enumerate(documents[FIRST : FIRST + COUNT], start=FIRST)
    assert named == {f"stories:train:{number}": text for number, text in expected}


def test_positions_are_those_of_the_release(artifacts, hub, home, documents, monkeypatch):
    use(hub, home, monkeypatch)
    tokenizer = load_tokenizer(MODEL, revision=COMMIT)
    special = set(tokenizer.all_special_ids)
    path = artifacts["passages", "hub_text"].path / PASSAGES_NAME
    passages = list(read_passages(path, set(Split), SplitAccess(Split)))
    found: dict[str, list[int]] = {}
    for (kind, _), artifact in artifacts.items():
        if kind != "activations":
            continue
        for shard in list_shards(block_folder(artifact.path, BLOCK)):
            rows = read_shard(shard).rows
            for key, position in zip(rows.passage_ids_N.tolist(), rows.positions_N, strict=True):
                found.setdefault(key.decode(), []).append(int(position))
    # Without a run of reinforcement learning nobody reads its split.
    assert {one.passage_id for one in passages if one.split != Split.RL} == found.keys()
    for one in passages:
        if one.split == Split.RL:
            continue
        ids = tokenizer.encode(one.text)
        last = min(len(ids), MAX_TOKENS)  # what a host cuts off has no activation
        places = [place for place in range(MIN_POSITION, last) if ids[place] not in special]
        key = hashlib.sha256(f"{SEED}|{one.document_id}".encode()).digest()
        drawn = random.Random(key).sample(places, min(PER_PASSAGE, len(places)))
        assert sorted(found[one.passage_id]) == sorted(drawn)
    assert len(found) > COUNT / 2


def test_what_was_fetched_is_in_the_records(artifacts, hub):
    shards = json.loads((artifacts["passages", "hub_text"].path / SHARDS_NAME).read_text())
    files = hub.repositories[f"datasets/{DATASET}"]
    assert [one["file"] for one in shards] == ["data/train-0.parquet", "data/train-1.parquet"]
    for one in shards:
        assert one["sha256"] == hashlib.sha256(files[one["file"]]).hexdigest()
    assert [one["rows"] for one in shards] == [PER_SHARD, FIRST + COUNT - PER_SHARD]
    assert artifacts["adopted", TAG].record.metrics["commit"] == COMMIT
    teacher = artifacts["explanations", "teacher-dev"].record.metrics
    assert teacher["num_rows"] > 0 and not teacher.get("num_without_explanation")


def test_no_file_is_fetched_twice_or_for_nothing(artifacts, hub):
    downloads = hub.downloads()
    assert len(set(downloads)) == len(downloads)
    assert not {"README.md", "data/test-0.parquet", "pytorch_model.bin"} & set(downloads)


def test_another_root_is_built_without_the_hub(artifacts, hub, home, tmp_path, monkeypatch):
    use(hub, home, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = list(hub.asked)
    again = built(recipe(), tmp_path)
    assert hub.asked == asked
    for name, artifact in artifacts.items():
        assert again[name].record.fingerprint == artifact.record.fingerprint
    one, other = (
        read_numbers(found["evaluation", "own"].path / NUMBERS_NAME) for found in (artifacts, again)
    )
    assert not one.differing(other)


def job(root: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "jobs.run", "--recipe", __file__, "--root", str(root)]
    visible = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])
    return subprocess.run(
        program,
        cwd=REPOSITORY,
        env={name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
        | {"PYTHONPATH": visible},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.ray
def test_the_command_line_does_the_same_on_a_cluster(artifacts, hub, tmp_path):
    """The workers of a cluster fetch by HF_ENDPOINT, and without it read what was fetched."""
    environment = hub.environment(tmp_path / "home")
    before = len(hub.downloads())
    first = job(tmp_path / "root", environment)
    assert first.returncode == 0, first.stdout + first.stderr
    fetched = hub.downloads()[before:]
    assert len(set(fetched)) == len(fetched) > 3
    offline = environment | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    again = job(tmp_path / "other", offline)
    assert again.returncode == 0, again.stdout + again.stderr
    [evaluation] = (tmp_path / "other" / "evaluation").iterdir()
    record = read_record(evaluation)
    assert record.fingerprint == artifacts["evaluation", "own"].record.fingerprint
    found = read_numbers(evaluation / NUMBERS_NAME)
    expected = read_numbers(artifacts["evaluation", "own"].path / NUMBERS_NAME)
    # Trained by DeepSpeed, which sums in another order.
    assert [one.name for one in found.all] == [one.name for one in expected.all]
    for predictor in (Predictor.SAMPLED, Predictor.SHUFFLED_VECTORS, Predictor.ZERO_VECTOR):
        one, other = (numbers.get(TAG, predictor, NLL) for numbers in (found, expected))
        assert one.value == pytest.approx(other.value, abs=0.01)
