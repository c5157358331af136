"""What the docs name is there."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_a_claim_names_exists():
    named = NAMED.findall((REPOSITORY / "docs" / "claims.md").read_text())
    assert len(named) > 50
    for path, name in named:
        tree = ast.parse((REPOSITORY / path).read_text())
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, (path, name)


def test_every_file_that_the_way_of_a_number_names_exists():
    text = (REPOSITORY / "docs" / "how-a-number-comes-about.md").read_text()
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text))
    assert len(named) > 15
    assert not [path for path in named if not (REPOSITORY / "platform/interlingua" / path).exists()]
