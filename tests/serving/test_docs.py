"""The cells of docs/serving.md that are for a notebook run as they are written."""

import asyncio
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from tests.serving.client.served import served

from interlingua.serving.own.app import Settings, make_app

PAGE = Path(__file__).parents[2] / "docs/serving.md"


def cells(heading: str) -> list[str]:
    """The Python of a section."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", PAGE.read_text(), flags=re.M | re.S)
    return re.findall(r"^```python\n(.*?)^```$", section, flags=re.M | re.S)


async def printed(code: list[str]) -> list[str]:
    """What cells print, one after the other; a notebook has a loop that runs."""
    names: dict[str, object] = {}
    said = []
    for one in code:
        with redirect_stdout(StringIO()) as out:
            exec(compile(one, "cell", "exec"), names)
        said.append(out.getvalue())
    return said


@pytest.mark.slow
def test_the_cells_of_a_notebook(backend, bundle, monkeypatch) -> None:
    monkeypatch.delenv("INTERLINGUA_TOKEN", raising=False)
    with served(make_app({"demo": backend}, Settings())) as url:
        places = {"http://127.0.0.1:8000": url, "runs/bundle/demo-rl-*": str(bundle)}
        code = cells("In a notebook")
        for place, here in places.items():
            assert sum(one.count(place) for one in code) == 1
            code = [one.replace(place, here) for one in code]
        trips, scores, equal = asyncio.run(printed(code))
    assert len(re.findall(r"^-?\d\.\d\d  .*\.  ->  ", trips, flags=re.M)) == 2
    assert len(re.findall(r"-?\d\.\d*", scores)) == 12
    assert equal == "True\n"
