"""`--preflight`: everything in one table before a run; an error where something lacks."""

import argparse
import json
import time
from dataclasses import replace

import pytest
from huggingface_hub import constants
from tests.own_data import write_rows
from tests.own_model import save_model
from tests.sources.hub import COMMIT, serving, use

from interlingua.commands.building import add_host
from interlingua.commands.building.preflight import NotReady, findings_of, show_preflight
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL
from interlingua.recipes.own import nla_of
from interlingua.recipes.world import world_18
from interlingua.specs.corpora import HubText, TextFiles
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.finding import State
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.teachers import ChatTeacher, Prompt
from interlingua.specs.training import HubFolder

NAME = "org/tiny"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def hub(tmp_path, monkeypatch, model):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path / "home", monkeypatch)
        served.add(NAME, {one.name: one.read_bytes() for one in model.iterdir()}, kind="model")
        yield served


@pytest.fixture
def recipe(tmp_path):
    rows = [{"text": f"The text with the number {n}."} for n in range(300)]
    texts = TextFiles(path=str(write_rows(tmp_path / "texts.jsonl", rows)))
    return nla_of("own", model=HubHost(tag="tiny", source=NAME), texts=texts)


def bad(recipe, root):
    found = findings_of(recipe, root, recipe.hosts)
    return [(one.subject, one.state) for one in found if not one.is_good]


def test_a_recipe_that_may_begin_is_ready(hub, recipe, tmp_path, capsys):
    show_preflight(recipe, tmp_path / "runs")
    out = capsys.readouterr().out
    assert out.endswith("own is ready\n") and "model.safetensors" not in hub.downloads()
    for part in ("hub", "passages.corpus", "hosts.tiny", "marker: 1 x U+", "av training", "disk"):
        assert part in out
    assert not (tmp_path / "runs").exists()


def test_all_that_lacks_is_in_one_table(hub, recipe, tmp_path, capsys, monkeypatch):
    recipe = replace(
        recipe,
        passages=replace(recipe.passages, corpus=TextFiles(path=str(tmp_path / "gone.jsonl"))),
        av=replace(recipe.av, start=HubFolder(source="org/gone", revision=COMMIT), lora=None),
        av_lessons=replace(
            recipe.av_lessons, teacher=ChatTeacher(model="wise", prompt=Prompt(user="{text}"))
        ),
    )
    hub.gated.add(NAME)
    with pytest.raises(NotReady, match=r"^own is not ready: see placement.teaching.url, passages"):
        show_preflight(recipe, tmp_path / "runs")
    table = capsys.readouterr().out
    for part in ("gone.jsonl", "placement.teaching.url", "is gated", "org/gone"):
        assert part in table


def test_the_pool_without_a_connection_is_one_table_in_seconds(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    pool = (*UNIVERSAL_POOL, *(one for one in SINGLE_HOSTS if one.tag.startswith("gemma3-12b")))
    hosts = tuple(
        HostSpec(source=HubHost(tag=one.tag, source=one.hub_id), block=one.block) for one in pool
    )
    texts = HubText(dataset="org/texts", revision=COMMIT, files="*.parquet", count=1000)
    recipe = replace(
        recipe,
        hosts=hosts,
        anchor=pool[0].tag,
        trained=tuple(one.tag for one in pool[1:14]),
        held_out=tuple(one.tag for one in pool[14:]),
        passages=replace(recipe.passages, corpus=texts),
    )
    started = time.monotonic()
    found = list(findings_of(recipe, tmp_path / "runs", recipe.hosts))
    assert time.monotonic() - started < 20
    missing = {one.subject for one in found if one.state is State.MISSING}
    assert missing >= {f"hosts.{one.tag}" for one in pool} | {"passages.corpus"}
    [disk, _] = [one.what for one in found if one.subject == "disk"]
    assert "to come models 1" in disk and "GiB, checkpoints" in disk  # a hundred and some
    assert len([one for one in found if "as published" in one.what]) == len(pool)


def test_what_a_world_needs_is_a_cluster_and_a_disk(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = list(findings_of(world_18(), tmp_path, world_18().hosts))
    assert {one.subject for one in found if one.subject.startswith("rl ")} == {"rl single"}
    assert all(one.is_good for one in found)
    usage = type("Usage", (), {"free": 0})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert bad(world_18(), tmp_path) == [("disk", State.MISSING)]


def test_rows_of_tokens_are_counted(hub, recipe, tmp_path):
    def disk(recipe):
        found = findings_of(recipe, tmp_path, recipe.hosts)
        return next(one.what for one in found if one.subject == "disk")

    assert "rows of unknown number" in disk(recipe)
    texts = replace(recipe.passages.corpus, count=1000)
    recipe = replace(recipe, passages=replace(recipe.passages, corpus=texts))
    width = json.loads(hub.repositories[NAME]["config.json"])["hidden_size"]
    assert f"rows {4 * 1000 * width / 2**10:,.1f} KiB" in disk(recipe)
    read = TokenPositions(per_passage=5, min_position=0, seed=0)
    assert f"rows {4 * 5000 * width / 2**10:,.1f} KiB" in disk(replace(recipe, read=read))


def test_a_host_that_is_to_be_added_is_seen_too(hub, tmp_path, capsys):
    command = ["world_mini", "--tag", "new", "--source", NAME, "--revision", COMMIT]
    command += ["--preflight", "--root", str(tmp_path / "runs")]
    arguments = add_host.add_host_parser().parse_args(command)
    assert isinstance(arguments, argparse.Namespace)
    add_host.main(arguments)
    assert f"{NAME} at {COMMIT[:8]}" in capsys.readouterr().out
    arguments.source = "org/gone"
    with pytest.raises(NotReady, match=r"world_mini is not ready: see hosts.new in the table"):
        add_host.main(arguments)
