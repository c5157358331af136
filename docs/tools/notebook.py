"""Run a notebook's code and store what came out: `python docs/tools/notebook.py FILE`.

It stands in for a Jupyter kernel, so that neither the tests nor the docs need one: the last
expression of a cell is drawn as HTML, as a picture, or as text. Magics are not understood.
"""

import ast
import base64
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 - behind the choice of what draws

DPI = 110


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of its code cells, run in order; an error ends it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            outputs = outputs_of("".join(cell["source"]), names, number)
            cell = {**cell, "execution_count": number, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def outputs_of(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """What a cell prints, and what its last expression is."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        result = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
        outputs.append({**result, "data": drawn(value)})
    return outputs


def drawn(value: object) -> dict[str, Any]:
    """A value by media type, the plain text always among them."""
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if isinstance(value, Figure):
        picture = io.BytesIO()
        # Without metadata: the same figure is the same file.
        value.savefig(picture, dpi=DPI, metadata={"Software": None})
        data["image/png"] = base64.b64encode(picture.getvalue()).decode()
        data["text/plain"] = ["<Figure>"]
    elif html := getattr(value, "_repr_html_", None):
        data["text/html"] = html().splitlines(keepends=True)
    return data


def written(notebook: dict[str, Any]) -> str:
    """The text of the file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(executed(json.loads(path.read_text()))))
