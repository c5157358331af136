"""What docs/claims.md names is there."""

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
