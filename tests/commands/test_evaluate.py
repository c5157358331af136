"""A server that cannot be evaluated is refused before anything is built."""

import pytest
from tests.serving.client.served import neuronpedia_alone, served
from tests.serving.fake import FakeBackend, card

from interlingua.commands.building.evaluate import evaluate_parser, main
from interlingua.serving.own.app import Settings, make_app


def evaluate(root, *arguments):
    main(evaluate_parser().parse_args(["world_mini", "--root", str(root), *arguments]))


def test_hosts_that_the_server_does_not_know_are_named(tmp_path):
    backend = FakeBackend(card=card(digest="d"))
    with served(make_app({"toy": backend}, Settings())) as url:
        with pytest.raises(ValueError, match="does not know toy-qwen3-1p7b, .* of world_mini"):
            evaluate(tmp_path / "root", "--endpoint", url)
        with pytest.raises(ValueError, match="model is 'other'"):
            evaluate(tmp_path / "root", "--endpoint", url, "--model", "other")
    assert not (tmp_path / "root").exists()


def test_a_server_that_gives_no_vectors_of_texts_is_refused(tmp_path):
    with (
        served(neuronpedia_alone(FakeBackend())) as url,
        pytest.raises(ValueError, match="gives no vectors of texts"),
    ):
        evaluate(tmp_path / "root", "--endpoint", url)


def test_a_model_is_of_a_server(tmp_path):
    with pytest.raises(ValueError, match="give --endpoint, too"):
        evaluate(tmp_path / "root", "--model", "demo")
