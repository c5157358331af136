"""The origin of a result: code, machine, versions, job. Knows no stage."""

import json
import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "interlingua",
    "deepspeed",
    "mlflow",
    "numpy",
    "peft",
    "pyarrow",
    "ray",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)
PROGRAMS = ("jobs", "tuners", "serve")  # folders of modules that people start
COMMAND = "interlingua"
# Ray sets it in the driver of a submitted job.
RAY_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
# Passes on what only the driver knows, its command line and its job, to workers.
DRIVER_VARIABLE = "INTERLINGUA_DRIVER"
# Set in the process of a trial of Ray Tune, for as long as the trial lasts.
TRIAL_VARIABLE = "INTERLINGUA_TRIAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The code and machine of a run; None where it cannot be known (no git checkout, no Ray job).

    `argv` and `ray_job_id` are the driver's, all else is of the process that did the work.
    """

    git_commit: str | None
    git_is_dirty: bool | None
    argv: tuple[str, ...]
    python: str
    packages: dict[str, str]
    hostname: str
    ray_job_id: str | None
    trial_id: str | None = None


def gathered_provenance() -> Provenance:
    """The provenance of this very process."""
    status = _git("status", "--porcelain")
    driver = json.loads(driver_environment()[DRIVER_VARIABLE])
    return Provenance(
        git_commit=_git("rev-parse", "HEAD"),
        git_is_dirty=None if status is None else status != "",
        argv=tuple(driver["argv"]),
        python=platform.python_version(),
        packages=_versions(),
        hostname=socket.gethostname(),
        ray_job_id=driver["ray_job_id"],
        trial_id=os.environ.get(TRIAL_VARIABLE),
    )


def command_of(argv: Sequence[str]) -> str:
    """The command line as it was given: the command of this project, or one of its modules."""
    program = Path(argv[0])
    if program.parent.name in PROGRAMS and program.suffix == ".py":
        module = f"{program.parent.name}.{program.stem}"
        return shlex.join(["python", "-m", module, *argv[1:]])
    is_package = (program.parent.name, program.name) == (COMMAND, "__main__.py")  # python -m
    if is_package or program.name == COMMAND:
        return shlex.join([COMMAND, *argv[1:]])
    return shlex.join(argv)


def driver_environment() -> dict[str, str]:
    """The variables for workers of this driver; in a worker, those of its driver."""
    ours = json.dumps({"argv": sys.argv, "ray_job_id": _ray_job_id()})
    return {DRIVER_VARIABLE: os.environ.get(DRIVER_VARIABLE, ours)}


def _git(*arguments: str) -> str | None:
    # In the folder of this code: the working directory may be another repository.
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # absent from the record is what "not installed" looks like
    return found


def _ray_job_id() -> str | None:
    if RAY_JOB_CONFIG not in os.environ:
        return None
    metadata = json.loads(os.environ[RAY_JOB_CONFIG]).get("metadata", {})
    return metadata.get("job_submission_id")
