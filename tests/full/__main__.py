"""The long walks, part by part: `python -m tests.full [PART ...]`.

A part that passed is not walked again until the code changes; `--again` walks it all the same.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PASSED = REPOSITORY / ".full.json"
PARTS = {
    "families": "tests/full/test_families.py",
    "corruption": "tests/full/test_corruption.py",
    "owners": "tests/full/owners",
    "zero": "tests/full/test_zero_ranks.py",
    "kills": "tests/full/test_kills.py",
    "endings": "tests/full/test_endings.py",
    "verbs": "tests/full/test_submitted_verbs.py",
    "soak": "tests/full/test_soak.py",
    "sweeps": "tests/full/test_sweeps.py",
    "serving": "tests/full/test_serving_soak.py",
    "tour": "tests/full/test_tour.py",
    "chaos": "tests/chaos",
    "doors": "tests/full/front_door",
    "published": "tests/full/published",
    "rehearsal": "tests/full/test_gpu_rehearsal.py",
    "failures": "tests/full/test_failures.py",
    "explorer": "tests/full/explorer",
    "readme": "tests/full/test_readme.py",
    "site": "tests/full/test_site.py",
    "quiet": "tests/full/test_quiet.py",
}


def main(arguments: argparse.Namespace) -> int:
    """Walk what has not passed; how many parts failed."""
    code = digest()
    passed = json.loads(PASSED.read_text()) if PASSED.exists() else {}
    results: dict[str, str] = {}
    if unknown := set(arguments.parts) - PARTS.keys():
        raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    for part in arguments.parts or PARTS:
        if passed.get(part) == code and not arguments.again:
            results[part] = "passed before"
            continue
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "--durations=5", PARTS[part]]
        is_passed = subprocess.run(command, cwd=REPOSITORY).returncode == 0
        if is_passed:
            passed[part] = code
            PASSED.write_text(json.dumps(passed, indent=2))
        how = "passed" if is_passed else "FAILED"
        results[part] = f"{how} in {time.monotonic() - started:.0f} s"
    print(*(f"{part:12} {result}" for part, result in results.items()), sep="\n")
    return sum("FAILED" in result for result in results.values())


def digest() -> str:
    """A hash of all code, and of the versions that it runs on."""
    found = hashlib.sha256()
    folders = ("platform", "jobs", "tuners", "serve", "tests", "bench")
    endings = {".py", ".js", ".css", ".html", ".json"}
    paths = [path for top in folders for path in (REPOSITORY / top).rglob("*.*")]
    code = [path for path in paths if path.suffix in endings and path.is_file()]
    texts = [
        REPOSITORY / name for name in ("constraints.txt", "README.md", "Makefile", "mkdocs.yml")
    ]
    texts += [path for path in (REPOSITORY / "docs").rglob("*.*") if path.is_file()]
    for path in sorted([*code, *texts]):
        found.update(path.read_bytes())
    return found.hexdigest()


def parser() -> argparse.ArgumentParser:
    """Which parts."""
    made = argparse.ArgumentParser(prog="python -m tests.full", description=__doc__)
    made.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    made.add_argument("--again", action="store_true", help="also what passed before")
    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
