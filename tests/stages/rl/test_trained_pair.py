"""Two models as one that is trained: saved, loaded and counted together."""

from types import SimpleNamespace

import pytest
import torch

from interlingua.stages.rl.roles import Roles
from interlingua.stages.rl.trained_pair import TrainedPair


class Learner:
    """One rank, with one weight of a name of its own."""

    def __init__(self, name, value, rank=0):
        self.rank, self._name, self.value = rank, name, value

    def gathered(self, value):
        """The one value."""
        return [value]

    def weights(self):
        """The one weight."""
        return {self._name: torch.tensor([self.value])}

    def save(self, folder):
        """In one file."""
        (folder / "weight").write_text(str(self.value))

    def load(self, folder):
        """As it was."""
        self.value = float((folder / "weight").read_text())


def pair_of(av, ar, rank=0):
    learners = Learner("av.weight", av, rank), Learner("ar.weight", ar)
    return TrainedPair(Roles(*learners, SimpleNamespace()))


def test_both_models_and_the_counts_go_on_from_one_folder(tmp_path):
    pair = pair_of(1.0, 2.0)
    pair.counts.update(num_steps=3)
    pair.save(tmp_path)
    again = pair_of(0.0, 0.0)
    again.load(tmp_path)
    assert {name: weight.item() for name, weight in again.trained_weights().items()} == {
        "av.weight": 1.0, "ar.weight": 2.0,
    }  # fmt: skip
    assert again.counts == {"num_steps": 3}


def test_the_counts_are_written_by_the_first_rank_alone(tmp_path):
    pair_of(1.0, 2.0, rank=1).save(tmp_path)
    with pytest.raises(FileNotFoundError):
        pair_of(0.0, 0.0).load(tmp_path)
