"""What is shown of runs of reinforcement learning is what they recorded."""

import pytest
from rich.console import Console
from tests.report.conftest import record_of, sentences, stored

from interlingua.memory.cards import THREE_CARDS
from interlingua.report.tables.material import read_material
from interlingua.report.tables.reinforced import BARS, curve, reinforced_table, reinforcing_grids
from interlingua.stages.rl.results import role_rows
from interlingua.store.progress import MetricsLog

METRICS = {
    "num_steps": 64, "best_step": 48, "start/reward": -1.2, "dev/reward": -0.6,
    "dev/kl_per_token": 0.21, "dev/kl_per_text": 3.9, "num_samples": 512, "num_failed": 8,
    "seconds_sample": 0.25, "seconds_judge": 0.5, "seconds_wait": 0.125, "seconds_learn_av": 1.0,
    "seconds_learn_ar": 0.75, "seconds_step": 2.5, "roles": role_rows(THREE_CARDS),
    "stopped_by": "unique_share is 0.1, below its gate at 0.8",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    artifact = stored(tmp_path, record_of("rl", "both-0", metrics=METRICS))
    log = MetricsLog(artifact.path, resume_step=0)
    for step in range(64):
        log.append(step + 1, reward=-1.2 + step / 100)
    return artifact


def test_a_curve_is_its_means_between_the_least_and_the_most() -> None:
    assert curve([0, 0, 0.5, 0.5, 1, 1]) == curve([0, 0, 2, 2, 4, 4])
    rising = curve([float(value) for value in range(200)])
    assert rising[0] == BARS[0] and rising[-1] == BARS[-1] and sorted(rising) == list(rising)
    assert curve([3.0, 3.0]) == BARS[0] * 2 and len(curve([0.0, 1.0])) == 2


def test_a_run_is_one_line_on_a_terminal(run) -> None:
    console = Console(width=160, record=True, force_terminal=False)
    console.print(reinforced_table([run]))
    [line] = [line for line in console.export_text().splitlines() if "both-0" in line]
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells[1:4] == ["64", "48", "-1.20 -> -0.60"] and sorted(cells[4]) == list(cells[4])
    assert cells[5:9] == ["0.21", "3.9", "1.6%", "2.50"]
    assert cells[9].startswith("unique_share is 0.1")


def test_the_page_has_the_phases_and_where_the_roles_were(run) -> None:
    phases, roles = reinforcing_grids([run])
    assert [row.cells[0].value for row in phases.rows] == [0.25, 0.5, 0.125, 1.0, 0.75, 2.5]
    assert [row.labels for row in roles.rows] == [
        ("both-0", "av"), ("both-0", "av_init"), ("both-0", "ar"),
    ]  # fmt: skip
    assert all(row.cells[1].text == "4 CPUs, 1 GPUs" for row in roles.rows)
    assert list(reinforcing_grids([])) == []


@pytest.mark.slow
def test_the_headline_has_how_far_it_went(run, evaluated) -> None:
    material = read_material("world", evaluated(is_rewarded=True), [run])
    as_rows = ["".join(part if isinstance(part, str) else part.text for part in sentence)
            for sentence in sentences(material)]  # fmt: skip
    assert "KL from the supervised AV: 0.21 nats/token, 3.90/text (on dev)." in as_rows
    assert any(
        "before predictions are scaled to one length (fve_linear_own)." in s for s in as_rows
    )
    assert any(s.startswith("Unparseable texts (share): ") for s in as_rows)
