"""Numbers made again from rows: equal, or an error that names those that are not."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interlingua.cluster.local import local_context
from interlingua.commands.auditing.recompute import main, recompute_parser
from interlingua.recipes.world import world_mini
from interlingua.report.from_rows import START_FOLDER
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import build, find
from interlingua.store.rows.likelihood import (
    LIKELIHOOD_NAME,
    read_likelihood,
    write_likelihood,
)
from interlingua.store.rows.scored import host_path, read_scored, write_scored

pytestmark = pytest.mark.slow

HOST = "toy-lfm-7b"
JOB = ("-m", "jobs.recompute")
HEAVY = {"torch", "ray", "transformers", "tokenizers", "peft", "deepspeed", "mlflow"}


@pytest.fixture
def folder(mini_nla_root, tmp_path):
    """A copy of an evaluation that may be spoilt."""
    [stage] = [stage for stage in graph_of(world_mini()) if stage.kind == "evaluation"]
    source = find(stage, mini_nla_root).path
    return shutil.copytree(source, tmp_path / source.name)


def recompute(folder, *options):
    main(recompute_parser().parse_args([str(folder), *options]))


def ended(process):
    out, err = process.communicate()
    return process.returncode, out, err


def test_numbers_come_out_as_recorded_without_ray_or_a_model(start_job, folder):
    program = f"""
import atexit, runpy, sys
atexit.register(lambda: print("loaded", sorted({HEAVY!r} & set(sys.modules))))
sys.argv = ["jobs.recompute", {str(folder)!r}]
runpy.run_module("jobs.recompute", run_name="__main__", alter_sys=True)
"""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code, out, err = ended(start_job(before=("-c", program)))
    assert (code, err) == (0, "")
    assert "numbers, all equal to those in" in out and out.splitlines()[-1] == "loaded []"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def spoil_rows(folder):
    rows = read_scored(folder).where(read_scored(folder)["host"] == HOST)
    rows["nmse"][7] += 1e-6
    write_scored(host_path(folder, HOST), rows)


def lose_a_row(folder):
    rows = read_scored(folder)
    rows = rows.where(rows["host"] == HOST)
    rows = rows.where(rows["predictor"] != "teacher")
    write_scored(host_path(folder, HOST), rows)


def spoil_a_number(folder):
    path = folder / "numbers.csv"
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith(f"{HOST},"))
    lines[place] = lines[place].replace(",16,", ",17,")
    path.write_text("\n".join(lines) + "\n")


def add_a_number(folder):
    path = folder / "numbers.csv"
    path.write_text(path.read_text() + f"{HOST},sampled,invented,0.9,0.8,1.0,16,passages\n")


def spoil_likelihood(folder):
    rows = read_likelihood(folder)
    rows["nll_own"][np.flatnonzero(rows["host"] == HOST)[0]] += 1e-3
    write_likelihood(folder, rows)


@pytest.mark.parametrize("spoil", [spoil_rows, lose_a_row, spoil_a_number, add_a_number])
def test_one_value_that_was_changed_is_found(spoil, folder):
    spoil(folder)
    # Also which file it was.
    said = f"differ from those recorded: .*{HOST}.*is not as it was published"
    with pytest.raises(ValueError, match=said):
        recompute(folder)


def test_a_likelihood_that_was_changed_is_found(folder):
    spoil_likelihood(folder)
    said = f"differ from those recorded: .*nll_per_token.*{LIKELIHOOD_NAME} is not as it was"
    with pytest.raises(ValueError, match=said):
        recompute(folder)


@pytest.mark.parametrize(("by", "is_same"), [(1 + 1e-12, True), (1 + 1e-6, False)])
def test_rounding_is_no_difference(by, is_same, folder):
    """Another number of threads sums in another order."""
    path = folder / "numbers.csv"
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    place = header.index("high")
    for line in lines:
        line[place] = repr(float(line[place]) * by)
    path.write_text("".join(",".join(line) + "\n" for line in (header, *lines)))
    if is_same:
        recompute(folder)
        return
    with pytest.raises(ValueError, match="differ from those recorded"):
        recompute(folder)


def test_the_exit_code_tells(start_job, folder):
    spoil_rows(folder)
    code, _, err = ended(start_job(folder, before=JOB))
    [line] = err.splitlines()
    assert code == 1 and line.startswith("error: ") and "differ from those recorded" in line


@pytest.mark.parametrize("name", [f"rows/{HOST}.parquet", "numbers.csv", LIKELIHOOD_NAME])
def test_a_file_that_is_gone_is_named(name, folder):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{folder / name} is missing; copy"):
        recompute(folder)


def test_a_damaged_table_is_named(folder):
    path = folder / "numbers.csv"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=f"{path}, line .* run again"):
        recompute(folder)


@pytest.fixture
def compared(mini_nla_root, tmp_path):
    """An evaluation with a start, copied from its root: no other folder is beside it."""
    root = tmp_path / "root"
    skipped = shutil.ignore_patterns("report", "*.lock")
    shutil.copytree(mini_nla_root, root, copy_function=os.link, ignore=skipped)
    [stage] = [stage for stage in graph_of(world_mini()) if stage.kind == "evaluation"]
    spec, inputs = replace(stage.spec, seed=1), stage.inputs._replace(start=stage)
    after = replace(stage, label="after", spec=spec, inputs=inputs)
    source = build(after, root, local_context(world_mini().placement)).path
    copied = Path(shutil.copytree(source, tmp_path / "elsewhere" / "of_a_paper"))
    shutil.rmtree(root)
    return copied


def test_a_copied_evaluation_after_rl_needs_no_other_folder(compared, capsys, monkeypatch):
    rows = read_scored(compared)
    # The start's rows are not taken for its own: each activation once a predictor and sample.
    of_start = read_scored(compared / START_FOLDER)
    assert of_start.predictors() == ["sampled", "greedy"]
    own = rows.where(np.isin(rows["predictor"].astype(str), of_start.predictors()))
    assert len(of_start) == len(own)
    monkeypatch.chdir(compared)
    recompute(Path("."))
    begun, ended = capsys.readouterr().out.splitlines()
    assert begun.startswith(f"of_a_paper: {len(rows):,} rows, {len(rows.hosts())} hosts, ")
    assert ", compared with world_mini-" in begun and "all equal to those in" in ended


def test_rows_of_its_start_that_changed_are_found(compared):
    path = host_path(compared / START_FOLDER, HOST)
    rows = read_scored(compared / START_FOLDER)
    rows = rows.where(rows["host"] == HOST)
    rows["nmse"][rows["predictor"] == "sampled"] += 1e-6
    write_scored(path, rows)
    with pytest.raises(ValueError, match=f"differ from those recorded: .*start.*; {path} is not"):
        recompute(compared)


def test_rows_of_its_start_that_are_gone_are_named(compared):
    path = host_path(compared / START_FOLDER, HOST)
    path.unlink()
    with pytest.raises(ValueError, match=f"{path} is missing; copy"):
        recompute(compared)


def test_what_differs_is_printed_and_nothing_else(folder, capsys):
    spoil_a_number(folder)
    with pytest.raises(ValueError, match="1 numbers differ from those recorded"):
        recompute(folder)
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith(f"  {HOST}/") and "n=17, now " in line and line.endswith("n=16")


def test_tables_are_printed_where_asked_for(folder, capsys):
    recompute(folder, "--tables")
    assert HOST in capsys.readouterr().out


def test_what_is_no_evaluation_says_so(folder):
    os.remove(folder / "artifact.json")
    for path in (folder, folder.parent / "nowhere"):
        with pytest.raises(ValueError, match=f"{path} is no finished evaluation"):
            recompute(path)
