"""What a notebook shows of what an NLA returns; no model is opened for it."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from interlingua.models.bundle.display import MOST_ROWS, Place
from interlingua.models.bundle.drawn import counted
from interlingua.models.bundle.system import Activations, given
from interlingua.models.bundle.verbalization import (
    RoundTrips,
    Verbalization,
    Verbalizations,
    round_trips_of,
)

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(1)>"
N_ND = np.array([[2.0, 0.0], [0.0, 2.0]])


class Seen(HTMLParser):
    """The text of a fragment, its tags, and what is marked in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.text, self.open, self.marked = set(), "", [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)
        assert {name for name, _ in attributes} <= {"style"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "mark" in self.open:
            self.marked.append(data)


def drawn(explanation, share=0.5):
    return Verbalization(explanation, f"<explanation>{explanation}", -3.0, share, 4)


@pytest.mark.parametrize(
    "value",
    [
        drawn(HOSTILE),
        Verbalizations([[drawn(HOSTILE)]], [Place(HOSTILE, (0, 8))], HOSTILE),
        round_trips_of([drawn(HOSTILE)], N_ND[:1], N_ND[:1], places=[Place(HOSTILE, (0, 8))]),
        Activations(
            host=HOSTILE, h_ND=N_ND[:1], texts=[0], positions=[1], places=[Place(HOSTILE, (0, 8))]
        ),
    ],
)
def test_texts_are_shown_as_they_are_and_are_no_markup(value):
    html = value._repr_html_()
    seen = Seen(html)
    assert HOSTILE in seen.text and not seen.tags & {"script", "img"}
    assert not re.search(r"(?<!-)color:(?!inherit)|#[0-9a-f]{3}|background:(?!none)", html)


def test_what_was_read_is_marked_where_it_stands():
    seen = Seen(Place("the farmer sang & left", (4, 10)).html())
    assert seen.marked == ["farmer"] and seen.text == "the farmer sang & left"
    assert Seen(Place("the farmer").html()).marked == []
    far = Seen(Place("a" * 500 + "farmer" + "b" * 500, (500, 506)).html())
    assert far.marked == ["farmer"] and len(far.text) < 300 and far.text.startswith("... ")


def test_a_cosine_stands_beside_that_of_a_constant():
    mean_D = np.array([1.0, 1.0])
    trips = round_trips_of([drawn("a farm"), drawn(None)], N_ND, N_ND, mean_D=mean_D)
    assert [trip.mean_cosine for trip in trips] == pytest.approx([0.5**0.5] * 2)
    seen = Seen(trips._repr_html_())
    assert "1.00" in seen.text and "0.71" in seen.text and "no explanation" in seen.text
    unknown = round_trips_of([drawn("a farm")], N_ND[:1], N_ND[:1])
    assert "not known" in Seen(unknown._repr_html_()).text


def test_a_vector_that_is_unlike_is_flagged():
    assert "unlike what this NLA learned from" in Seen(drawn("a", 0.999)._repr_html_()).text
    assert "unlike" not in Seen(drawn("a", 0.5)._repr_html_()).text
    assert "unlike" in repr(drawn("a", 0.999)) and "unlike" not in repr(drawn("a"))


def test_many_rows_are_counted_and_not_all_drawn():
    html = Verbalizations([[drawn("a")] for _ in range(MOST_ROWS + 7)])._repr_html_()
    assert html.count("<tr>") == MOST_ROWS + 1 and "and 7 more rows" in html


def test_a_repr_is_short():
    wide_ND = np.ones((3, 4096))
    trips = round_trips_of([drawn("a farm")] * 3, wide_ND, wide_ND, mean_D=wide_ND[0])
    read = Activations(host="h", h_ND=wide_ND, texts=[0, 0, 1], positions=[0, 1, 0])
    assert repr(trips[0]) == "<RoundTrip 'a farm', cosine 1.00 (a constant: 1.00)>"
    assert repr(read) == "<Activations of h: 3 rows, 4096 wide>"
    assert len(repr(trips)) < 300


def test_results_are_lists():
    rows = [[drawn("a")], [drawn("b")]]
    assert Verbalizations(rows) == rows
    assert RoundTrips([])._repr_html_()


def test_what_was_read_brings_its_host():
    read = Activations(host="h", h_ND=N_ND, texts=[0, 1], positions=[None, None])
    assert given(read, None)[:2] == (read.h_ND, "h")
    assert given(N_ND, "h") == (N_ND, "h", ())
    with pytest.raises(ValueError, match="host is 'other'; the activations were read of h"):
        given(read, "other")


def test_progress_says_nothing_to_a_pipe(capfd):
    with counted(3, is_shown=True) as on_batch:
        on_batch(3)
    assert capfd.readouterr() == ("", "")


def test_progress_is_seen_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for one
    with counted(3, is_shown=True) as on_batch:
        on_batch(2)
    out, err = capfd.readouterr()
    assert out == "" and "2/3" in err
