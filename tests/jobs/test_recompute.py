"""Numbers made again from rows: equal, or an error that names those that are not."""

import os
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interlingua.commands.auditing.recompute import main
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.store.record import InputRecord, fingerprint_of, read_record, write_record
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
        main(Namespace(folder=folder))


def test_a_likelihood_that_was_changed_is_found(folder):
    spoil_likelihood(folder)
    said = f"differ from those recorded: .*nll_per_token.*{LIKELIHOOD_NAME} is not as it was"
    with pytest.raises(ValueError, match=said):
        main(Namespace(folder=folder))


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
        main(Namespace(folder=folder))
        return
    with pytest.raises(ValueError, match="differ from those recorded"):
        main(Namespace(folder=folder))


def test_the_exit_code_tells(start_job, folder):
    spoil_rows(folder)
    code, _, err = ended(start_job(folder, before=JOB))
    [line] = err.splitlines()
    assert code == 1 and line.startswith("error: ") and "differ from those recorded" in line


@pytest.mark.parametrize("name", [f"rows/{HOST}.parquet", "numbers.csv", LIKELIHOOD_NAME])
def test_a_file_that_is_gone_is_named(name, folder):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{folder / name} is missing; copy"):
        main(Namespace(folder=folder))


def test_a_damaged_table_is_named(folder):
    path = folder / "numbers.csv"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=f"{path}, line .* run again"):
        main(Namespace(folder=folder))


def compared_with(folder, start):
    """Write into the record that the evaluation is compared with another."""
    record = read_record(folder)
    inputs = {**record.inputs, "start": InputRecord(kind="evaluation", **start)}
    changed = replace(
        record,
        inputs=inputs,
        fingerprint=fingerprint_of(
            kind=record.kind,
            revision=record.revision,
            spec=record.spec,
            inputs={name: entry.fingerprint for name, entry in inputs.items()},
        ),
    )
    write_record(folder, changed)


def test_where_it_started_from_must_be_copied_along(folder):
    compared_with(folder, {"label": "before", "fingerprint": "0" * 12})
    start = folder.parent / f"before-{'0' * 12}"
    with pytest.raises(ValueError, match=f"compared with {start}, which is not there; copy"):
        main(Namespace(folder=folder))


def test_it_is_found_beside_a_relative_folder(folder, monkeypatch):
    label, _, fingerprint = folder.name.rpartition("-")
    shutil.copytree(folder, folder.with_name(f"before-{fingerprint}"))
    compared_with(folder, {"label": "before", "fingerprint": fingerprint})
    monkeypatch.chdir(folder)
    # The numbers of differences were never recorded: it came as far as to find them.
    with pytest.raises(ValueError, match="differ from those recorded: .* - start"):
        main(Namespace(folder=Path(".")))


def test_a_file_of_its_start_that_changed_is_named(folder):
    fingerprint = folder.name.rpartition("-")[2]
    start = Path(shutil.copytree(folder, folder.with_name(f"before-{fingerprint}")))
    compared_with(folder, {"label": "before", "fingerprint": fingerprint})
    with (start / "numbers.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match=f"differ from those recorded: .*; {start}"):
        main(Namespace(folder=folder))


def test_what_is_no_evaluation_says_so(folder):
    os.remove(folder / "artifact.json")
    for path in (folder, folder.parent / "nowhere"):
        with pytest.raises(ValueError, match=f"{path} is no finished evaluation"):
            main(Namespace(folder=path))
