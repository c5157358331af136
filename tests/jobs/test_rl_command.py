"""The command line of jobs.rl: what published runs take, and what is told of a mistake."""

import pytest


def answered(start_job, *arguments):
    """Exit code, and what was said on stdout and stderr."""
    process = start_job(*arguments, before=("-m", "jobs.rl"))
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("name", ["universal_v6_rl", "universal_v7_rl_4b"])
def test_a_dry_run_of_a_published_run_says_what_fits_on_which_cards(start_job, name):
    code, out, err = answered(start_job, name, "--values")
    assert (code, err) == (0, "")
    for training in ("LoRA of rank 16", "LoRA of rank 256", "full fine-tuning"):
        assert f"{training}, in GiB:" in out
    rows = [line.split() for line in out.splitlines()]
    for first in ("three", "single", "av", "av_init", "ar"):
        assert sum(row[:1] == [first] and row[-1] != "=" for row in rows) >= 3
    assert "rl.rl.kl_coef = 0.05" in out and "weights: 2 B a parameter" in out


def test_v7_reinforced_fits_on_three_cards_and_not_on_one(start_job):
    """Published as out of memory: three models of 4B on one card of 32 GB, LoRA of rank 256."""
    code, out, _ = answered(start_job, "universal_v7_rl_4b", "--dry-run")
    table = out.split("LoRA of rank 256, in GiB:")[1].split("full fine-tuning")[0]
    rows = [line.strip() for line in table.splitlines()]
    assert code == 0
    [copies] = [row for row in rows if row.startswith("three copies")]
    assert copies.endswith("short of 10.30")
    for role in ("single ", "av ", "av_init ", "ar "):
        [row] = [row for row in rows if row.startswith(role)]
        assert row.endswith("fits")


def test_an_override_changes_what_it_takes(start_job):
    _, out, _ = answered(start_job, "universal_v6_rl", "--dry-run", "--set", "rl.group_size=8")
    assert "a step: 32 samples of 60 tokens" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["world_mini"], "world_mini has no reinforcement learning; recipes with it: demo, "),
        (["universal_v6_rl", "--dry-run", "--set", "rl.group_size=1"], "must be at least 2"),
    ],
)
def test_a_mistake_is_told_in_one_line(start_job, arguments, said):
    code, _, err = answered(start_job, *arguments)
    assert code == 1 and said in err and err.count("\n") == 1
