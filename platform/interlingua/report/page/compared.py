"""The page of two evaluations: one HTML file that needs nothing else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from interlingua.report.page.examples import PLAIN_TEXT, Example, Saying
from interlingua.report.page.rendering import SCRIPTS, assets, environment
from interlingua.report.tables.grid import Grid
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.scored import Scored, read_evaluated, read_scored

NUM_SHOWN = 12


def compared_page(
    names: tuple[str, str],
    folders: tuple[Path, Path],
    lines: Sequence[str],
    grids: Sequence[Grid],
    notes: Sequence[str],
) -> str:
    """The page as text."""
    templates = environment()
    return templates.get_template("compared.html").render(
        names=names,
        lines=lines,
        grids=grids,
        notes=notes,
        examples=_examples(folders, names),
        num_shown=NUM_SHOWN,
        script=assets(templates, *SCRIPTS),
    )


def _examples(folders: tuple[Path, Path], names: tuple[str, str]) -> list[Example]:
    """Greedy texts of both on the same rows: those of the smallest hashes, whatever they say."""
    ours, theirs = (_greedy(read_scored(folder)) for folder in folders)
    passages = {one.passage_id: one.text for one in read_evaluated(folders[0])}
    common = sorted(ours.keys() & theirs.keys(), key=lambda key: _hash(*key))
    return [
        Example(
            passage=[(passages[key[1]], PLAIN_TEXT)],
            true=(),
            sayings=[
                Saying(
                    title=f"{name}, {key[0]}",
                    pieces=[(side[key] or "(unparseable)", PLAIN_TEXT)],
                    wrong=(),
                    fve=None,
                    name="",
                )
                for name, side in zip(names, (ours, theirs), strict=True)
            ],
        )
        for key in common[:NUM_SHOWN]
    ]


def _greedy(rows: Scored) -> dict[tuple[str, str, int], str | None]:
    of_greedy = rows.where(rows["predictor"] == Predictor.GREEDY)
    names = ("host", "passage_id", "position", "explanation")
    columns = (of_greedy[name].tolist() for name in names)
    return {(host, key, place): text for host, key, place, text in zip(*columns, strict=True)}


def _hash(*key: object) -> str:
    return hashlib.sha256("|".join(map(str, key)).encode()).hexdigest()
