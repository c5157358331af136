"""Which evaluations a server is started with: those that are named, or those of its bundles."""

import shutil
from pathlib import Path

import pytest
from tests.serving.explorer.made import stored_evaluation
from tests.serving.explorer.test_lineage import bundle_in, evaluation_in, pair_in

from interlingua.cluster.serve_file import spec_of
from interlingua.commands.using.serve import evaluations_served, serve_parser


def test_named_ones_are_served_by_their_names(tmp_path) -> None:
    first, second = (stored_evaluation(tmp_path, label) for label in ("first", "second"))
    asked = serve_parser().parse_args(
        ["bundle", "--evaluation", f"mine={first}", "--evaluation", str(second)]
    )
    found = evaluations_served(asked.evaluation, {})
    assert found == {"second": str(second), "mine": str(first)}


def test_without_names_those_of_the_bundles_are_served(tmp_path) -> None:
    pair = pair_in(tmp_path, "sft")
    folder = evaluation_in(tmp_path, "demo", pair)
    evaluation_in(tmp_path, "other", pair_in(tmp_path, "rl"))
    bundle = bundle_in(tmp_path, "demo", pair)
    assert serve_parser().parse_args(["bundle"]).evaluation == []
    assert evaluations_served([], {"x": str(bundle)}) == {"demo": str(folder)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a={0}", "a={1}"], "two evaluations are called a; name one: NAME="),
        (["second={0}", "{1}"], "two evaluations are called second"),
        (["{0}/rows"], "rows is no finished evaluation"),
        (["a=/no/such"], "/no/such is no finished evaluation"),
        (["a/b={0}"], "'a/b' is no name"),
        (["={0}"], "'' is no name"),
    ],
)
def test_what_cannot_be_served_is_named(tmp_path, given, words) -> None:
    folders = [str(stored_evaluation(tmp_path, label)) for label in ("first", "second")]
    with pytest.raises(ValueError) as refused:
        evaluations_served([one.format(*folders) for one in given], {})
    assert words in str(refused.value)


def test_a_file_names_them_by_patterns_of_which_the_newest_is_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("interlingua.cluster.serve_file.read_manifest", lambda path: None)
    pair = pair_in(tmp_path, "sft")
    bundle = bundle_in(tmp_path, "demo", pair)
    folder = evaluation_in(tmp_path, "demo", pair)
    half = Path(shutil.copytree(folder, f"{folder}.0123.partial"))
    given = {"bundles": {"demo": str(bundle)}, "token_from": None}
    assert spec_of(given).evaluations == {"demo": str(folder)}
    assert spec_of({**given, "evaluations": {}}).evaluations == {}
    named = {**given, "evaluations": {"x": str(folder.parent / "demo-*")}}
    assert half.is_dir() and spec_of(named).evaluations == {"x": str(folder)}
    with pytest.raises(ValueError, match=r"args.evaluations.x is /no/\*; .* has no evaluation at"):
        spec_of({**given, "evaluations": {"x": "/no/*"}})
    with pytest.raises(ValueError, match="is of the kind bundle"):
        spec_of({**given, "evaluations": {"x": str(bundle)}})
