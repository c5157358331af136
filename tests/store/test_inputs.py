"""What a stage needs is one type, for the stages of a graph and for their artifacts."""

from collections.abc import Mapping
from typing import Generic, NamedTuple

from interlingua.store.inputs import Member, members, with_members


class Host(NamedTuple, Generic[Member]):
    rows: Member
    encoder: Member | None


class Inputs(NamedTuple, Generic[Member]):
    trunk: Member
    hosts: Mapping[str, Host[Member]]


INPUTS = Inputs(1, {"gpt2": Host(2, None), "lfm": Host(3, 4)})
PATHS = {"trunk": 1, "hosts.gpt2.rows": 2, "hosts.lfm.rows": 3, "hosts.lfm.encoder": 4}


def test_members_are_named_by_their_path_and_none_is_no_member():
    assert members(INPUTS) == PATHS
    assert members({}) == {}


def test_the_same_shape_takes_other_members():
    made = with_members(INPUTS, {path: str(member) for path, member in PATHS.items()})
    assert made == Inputs("1", {"gpt2": Host("2", None), "lfm": Host("3", "4")})
    assert type(made) is Inputs and type(made.hosts["lfm"]) is Host
