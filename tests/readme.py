"""What README tells people to type, and what a test puts in place of what would take long.

Nothing here knows one command of README: they are read from its fences, and a table of patterns
says what is smaller. A command that no kind fits, or that would still run a whole recipe, is an
error, so that a new line of README is run or needs a row.
"""

import re
import shlex
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from interlingua.recipes.registry import OWN, PUBLISHED, RECIPES
from interlingua.specs.evaluation import GateName

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
LANGUAGES = {"sh", "python", "text", "bibtex"}
INLINE = r"`(make [a-z-]+|interlingua (?:status|[a-z-]+ [^`]+))`"
MINI = "tests/full/readme_demo.py:demo"  # has a root of its own, in which it is built


# Models that learned next to nothing fail every gate that looks at what they write.
FEW_STEPS = (
    "--set av.num_steps=4 --set ar.num_steps=4 --set evaluation.rows=16 "
    f"--set evaluation.accepts={','.join(GateName)}"
)


class Kind(StrEnum):
    """How a command is tested."""

    PARSED = "read, as it needs machines that are not here"
    SETS = "sets variables of the commands below it"
    INSTALLS = "asks what pip would do"
    LIGHT = "as it is, in seconds"
    SERVES = "started, asked, and ended"
    ASKS = "asks a server that is started above it"
    SUBMITS = "submitted to a Ray cluster of this test"
    RUNS = "with the smallest recipe in its place"


# The first that fits.
KINDS = (
    (r"^ray up cluster\.yaml$", Kind.PARSED),
    (r"^export \w+=", Kind.SETS),
    (r"\bpip install\b", Kind.INSTALLS),
    (r"^ray job submit .* -- python -m (jobs|tuners)\.\w+ ", Kind.SUBMITS),
    (r"^(python -m \w+\.\w+|interlingua) .*--(dry-run|preflight|help)\b", Kind.LIGHT),
    (r"^(curl http://127\.0\.0\.1:|.* --endpoint http://127\.0\.0\.1:)", Kind.ASKS),
    (r"^(python -m (serve\.app|jobs\.ui)|interlingua (serve|ui))\b", Kind.SERVES),
    (r"^python (-m (jobs|tuners|pytest|tests|ruff|mypy|serve)\b|examples/)", Kind.RUNS),
    (r"^interlingua \w+", Kind.RUNS),
    (r"^(python docs/tools/made\.py|.*\.venv-docs/bin/python -m mkdocs build)\b", Kind.RUNS),
    (r"^(ls -d runs/\S+ > /dev/null|\. \.venv/bin/activate$|echo )", Kind.RUNS),
)
# What is installed here in place of `.venv` and `.venv-docs`.
READY = ("VENV=python", "READY=", "DOCS_VENV=.venv-docs/bin/python", "DOCS_READY=")
VERB = r"(?:jobs|tuners)\.\w+|interlingua (?:run|rl|evaluate|add-host|tour|sweep(?: [a-z]+)??)"
# What is put in place of what; every row that fits.
SMALLEST = (
    (rf"({VERB}) (demo|world\w*)(?= |$)", rf"\1 {MINI}"),
    (r"(--recipe examples/my_(?:model|activations)\.py)$", rf"\1 {FEW_STEPS}"),
    (r"--placement one_gpu", "--placement laptop"),
    (r"-m tests\.full$", "-m tests.full --help"),
    (r"jobs\.tour$", f"jobs.tour {MINI}"),
    (r"--num-passages \d+", "--num-passages 2"),
    (r"--set hosts\.toy-gpt2-medium\.source\.pretrain\.num_steps=\d+", ""),
    (r"--root (/data/long|/shared/runs)", "--root {root}"),
    (r"path/to/model", "{model}"),
    (r"http://HEAD:8265", "{jobs_url}"),
    (r"--axis av\.num_steps=\S+", "--axis av.num_steps=2,3"),
    (r"--axis av\.optim\.learning_rate=\S+", ""),
    (r"((?:tuners\.|interlingua sweep )(?:slots|scaling) \S+)$", r"\1 --seeds 0 --dry-run"),
    (r"--seeds \d+", "--seeds 2"),
    (r"--trials \d+", "--trials 2"),
    (r"(-m pytest) .*", r"\1 tests/test_names.py"),
)
PREFLIGHT_CODES = {0, 1}  # it says what is missing, and ends as a program does that cannot go on


class Block(NamedTuple):
    """A fence of README: its language, its lines, and what stands above it."""

    language: str
    body: str
    section: str
    line: int


class Command(NamedTuple):
    """One command line, and the block that it is of."""

    text: str
    block: int


def blocks(text: str) -> list[Block]:
    """Every fence, from the top; one that is open at the end is an error."""
    found: list[Block] = []
    section, language, body, begun = "", None, list[str](), 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            if language is None:
                language, body, begun = line[3:], [], number
            else:
                found.append(Block(language, "\n".join(body), section, begun))
                language = None
        elif language is not None:
            body.append(line)
        elif line.startswith("#"):
            section = line.strip("# ")
    assert language is None, f"the fence of line {begun} is open"
    return found


def commands(text: str) -> list[Command]:
    """The lines of all `sh` fences, and of the prose what is complete, each a block of its own."""
    found, number = [], 0
    for number, block in enumerate(blocks(text)):
        if block.language == "sh":
            found += [Command(line, number) for line in _lines(block.body)]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    typed = {command.text for command in found}
    inline = [one for one in dict.fromkeys(re.findall(INLINE, prose)) if one not in typed]
    return found + [Command(one, number + 1 + at) for at, one in enumerate(inline)]


def expanded(command: Command) -> list[Command]:
    """What is run for it: of `make x` the recipe of its target, without the installation."""
    if not command.text.startswith("make "):
        return [command]
    make = [*shlex.split(command.text), "-n", "--no-print-directory", *READY]
    done = subprocess.run(make, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"{command.text}: {done.stderr}"
    lines = [line.replace("python -m interlingua ", "interlingua ") for line in _lines(done.stdout)]
    return [Command(line, command.block) for line in lines]


def kind_of(command: str) -> Kind:
    """The first kind that fits."""
    for pattern, kind in KINDS:
        if re.search(pattern, command):
            return kind
    raise ValueError(f"README has {command!r}; tests/readme.py has no kind for it")


def smallest(command: str) -> str:
    """The command with what is smaller in its place; what would still be a whole recipe is said."""
    kind = kind_of(command)
    if kind in {Kind.LIGHT, Kind.PARSED, Kind.SETS, Kind.INSTALLS}:
        return command
    for pattern, replacement in SMALLEST:
        command = re.sub(pattern, replacement, command)
    named = re.search(rf"(?:{VERB}) (\w+)(?= |$)", command)
    is_whole = named is not None and named[1] in {*RECIPES, *OWN, *PUBLISHED}
    if is_whole and not re.search("--(preflight|dry-run)", command):
        raise ValueError(f"{command!r} is a whole recipe; tests/readme.py has no row for it")
    return command


def _lines(body: str) -> list[str]:
    """Command lines without their comments; one that goes on below is one."""
    joined = re.sub(r"\\\n\s*", "", body)
    lines = [re.sub(r"\s{2,}#.*|^#.*", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line]
