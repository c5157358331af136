"""`interlingua compare`: what it prints and writes of two folders, and what it refuses."""

import csv
import shutil

import pytest

from interlingua.commands.entry import main

WRITES = ("csv", "latex", "page")


@pytest.fixture
def folders(evaluated, tmp_path) -> list[str]:
    """An evaluation, and a copy of it elsewhere."""
    first = evaluated().path
    return [f"first={first}", str(shutil.copytree(first, tmp_path / "elsewhere"))]


def test_tables_a_file_a_table_for_a_paper_and_a_page(folders, tmp_path, capsys) -> None:
    paths = [tmp_path / name for name in ("found.csv", "found.tex", "found.html")]
    main(["compare", *folders, *(f"--{o}={p}" for o, p in zip(WRITES, paths, strict=True))])
    out = capsys.readouterr().out
    assert "first" in out and "elsewhere" in out
    assert "no row is left out" in out and "0 fields of the two records differ" in out
    assert "no difference measurable" in out.splitlines()[-1]
    numbers = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert len(numbers) > 20
    assert r"\toprule" in paths[1].read_text()
    page = paths[2].read_text()
    assert page.startswith("<!doctype html>") and "http" not in page.replace(
        "http://www.w3.org", ""
    )


def test_what_is_no_evaluation_is_named(folders, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["compare", folders[0], str(tmp_path / "none")])
    assert f"{tmp_path / 'none'} is no finished evaluation" in str(ended.value)
