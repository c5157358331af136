"""The explorer as one HTML file that opens from disk and asks nobody: page, code and recording.

Modules become data: addresses in an import map, as a page from disk may import no file. What may
run are the map and one line, by their hashes, and what the map names.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

STYLESHEET = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n?')
PRELOAD = re.compile(r'<link rel="modulepreload"[^>]*>\n?')
ICON = re.compile(r'<link rel="icon" href="([^"]+)" type="([^"]+)">')
SCRIPT = re.compile(r'<script type="module" src="js/([\w-]+)\.js"></script>')
IMPORTED = re.compile(r'(\bfrom |\bimport\()"\./([\w-]+)\.js"')
ENCODING = '<meta charset="utf-8">'


def one_page(folder: Path, recording: str) -> str:
    """The page of a folder with a recording, which is JSON."""
    page = (folder / "index.html").read_text()
    styles = "".join((folder / name).read_text() for name in STYLESHEET.findall(page))
    (begin,) = SCRIPT.findall(page)
    modules = _import_map(folder)
    line = f'import "{begin}";'
    # A `<` could end the element that holds it.
    data = recording.replace("<", "\\u003c")
    policy = _policy(styles, modules, line)
    head = [
        ENCODING,
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<style>{styles}</style>",
        f'<script type="importmap">{modules}</script>',
        f'<script type="application/json" id="recorded">{data}</script>',
    ]
    page = ICON.sub(lambda found: _icon(folder, *found.groups()), page)
    page = PRELOAD.sub("", STYLESHEET.sub("", page))
    # In a function: in a plain replacement every backslash would be an escape.
    page = SCRIPT.sub(lambda _: f'<script type="module">{line}</script>', page)
    return page.replace(ENCODING, "\n".join(head), 1)


def _import_map(folder: Path) -> str:
    """Every module by its bare name, ready to stand in an element."""
    found = {
        path.stem: _data("text/javascript", IMPORTED.sub(r'\1"\2"', path.read_text()).encode())
        for path in sorted((folder / "js").glob("*.js"))
    }
    pairs = ",\n".join(f'"{name}":"{address}"' for name, address in found.items())
    return f'{{"imports":{{\n{pairs}\n}}}}'


def _policy(styles: str, *scripts: str) -> str:
    run = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {run} data:; style-src {_hash(styles)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _icon(folder: Path, name: str, kind: str) -> str:
    return f'<link rel="icon" href="{_data(kind, (folder / name).read_bytes())}" type="{kind}">'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
