"""Names are those of PyTorch, Hugging Face, Ray and this field: none is a word of a dialect."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
DIALECT = {
    *("told", "heard", "hear", "hears", "said", "spoken", "deaf", "kept", "crew", "lesson"),
    *("lessons", "pull", "room", "rooms", "look", "looks", "arm", "arms", "gold", "golds"),
}


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def names() -> Iterator[str]:
    """Of every file, class and function of the product."""
    for folder in ("platform", "jobs", "examples"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            where = path.relative_to(REPOSITORY)
            yield f"{where}: {path.stem}"
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    yield f"{where}: {node.name}"


def test_no_name_is_a_word_of_a_dialect() -> None:
    found = list(names())
    assert len(found) > 1500
    assert not [name for name in found if words(name.rpartition(" ")[2]) & DIALECT]


def test_a_word_is_found_wherever_it_stands_in_a_name() -> None:
    assert all(
        words(name) & DIALECT for name in ("NoRoom", "_room", "HearSpec", "gold_ND", "ArmRun")
    )
    assert not any(words(name) & DIALECT for name in ("lookup", "warmup_steps", "GoldenHash"))
