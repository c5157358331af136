"""Every published host is fetched from a hub by its name and read at its published block."""

from pathlib import Path

import pytest
from tests.full.published.families_hub import GATED
from tests.full.published.reading import check_rows
from tests.own_data import build_here
from tests.sources.hub import COMMIT, GOOD_TOKEN, use

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.models import HubHost
from interlingua.stages.graph.order import joined
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.store.artifact import Stage, find
from interlingua.store.hosts import opened_from

HOSTS = (*UNIVERSAL_POOL, pool_host("qwen3-8b"))


def adopted(hub_id: str, num_blocks: int) -> Stage:
    host = HubHost(tag="host", source=hub_id, revision=COMMIT, num_blocks=num_blocks)
    return adopted_stage(host)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.tag)
def test_a_host_is_fetched_and_read_at_its_published_block(
    host, families, home, tmp_path, monkeypatch
):
    use(families, home, monkeypatch)
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    stage = adopted(host.hub_id, host.num_blocks)
    build_here(joined([[stage]]), tmp_path, ONE_CORE_A_STAGE)
    check_rows(host, *opened_from(find(stage, tmp_path)))


def test_a_gated_host_is_refused_without_a_token(families, tmp_path, monkeypatch):
    use(families, tmp_path / "home", monkeypatch)
    gated = next(host for host in HOSTS if host.hub_id == GATED)
    with pytest.raises(ValueError, match="is gated: accept its licence"):
        build_here(joined([[adopted(GATED, gated.num_blocks)]]), tmp_path, ONE_CORE_A_STAGE)
