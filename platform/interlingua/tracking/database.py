"""MLflow's database, and the page that shows it. Knows no stage and no run."""

import logging
import os
import shlex
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

DATABASE_NAME = "mlflow.db"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
UI_PORT = 5000
# They make MLflow fail soon and be quiet; a variable that is set already has the last word.
MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # what fails is uploaded again later anyway
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else the page starts ten processes
}


def tracking_uri(root: Path) -> str:
    """Address of the store: MLFLOW_TRACKING_URI, else the database in the run root."""
    return os.environ.get(URI_VARIABLE) or _database_uri(root.absolute() / DATABASE_NAME)


def is_served(uri: str) -> bool:
    """True for the address of a server, which has places of its own for artifacts."""
    return uri.startswith(("http:", "https:", "databricks"))


def prepared_mlflow(root: Path) -> None:
    """Set MLflow up before its first import, and make the root's database if it is to be used."""
    set_mlflow_up()
    database = root.absolute() / DATABASE_NAME
    if tracking_uri(root) == _database_uri(database) and not database.exists():
        _make_database(database)


def silence_mlflow() -> None:
    """Let MLflow log nothing from now on, whether it is imported already or just being so."""
    os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def damage_of(root: Path) -> str | None:
    """Damage of the root's own database, and what to do about it; None where there is none."""
    database = root.absolute() / DATABASE_NAME
    if tracking_uri(root) != _database_uri(database) or not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            ((found, *_), *_) = connection.execute("PRAGMA quick_check")
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok":
        return None
    return (
        f"{database} is damaged ({found}); delete it and run the same command again: all that was "
        "in it lies in the run root, too, and is uploaded anew"
    )


def ui_command(root: Path, port: int = UI_PORT) -> str:
    """Command that shows the runs of this root, as people type it."""
    if is_served(tracking_uri(root)):
        return f"the server that {URI_VARIABLE} names has a page of its own"
    return shlex.join(_ui_arguments(root, port))


def ui_arguments(root: Path, port: int = UI_PORT) -> list[str]:
    """The command of the process that shows the runs of this root, where there is something."""
    if is_served(tracking_uri(root)):
        raise ValueError(f"{URI_VARIABLE} names a server; open its address in a browser instead")
    if URI_VARIABLE not in os.environ and not (root / DATABASE_NAME).exists():
        raise ValueError(f"{root / DATABASE_NAME} is not there; run a recipe in {root} first")
    set_mlflow_up()
    return _ui_arguments(root, port)


def _ui_arguments(root: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri(root)]
    return [*command, "--port", str(port), "--workers", "1"]


def set_mlflow_up() -> None:
    """Let MLflow, before its first import, fail soon and be quiet."""
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)


def _database_uri(path: Path) -> str:
    return f"sqlite:///{path}"


def _make_database(path: Path) -> None:
    """Make an empty database, whole or not at all.

    MLflow's migrations wait for the disk hundreds of times, which takes a minute where it is busy;
    nobody reads this file before it is done, so it waits once.
    """
    from mlflow import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    # A job may end while its tracker is here: what is being written then is no error of the job.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Path(folder) / DATABASE_NAME
        event.listen(Engine, "connect", _without_waiting)
        try:
            MlflowClient(_database_uri(made)).search_experiments(max_results=1)
        finally:
            event.remove(Engine, "connect", _without_waiting)
        whole = path.with_name(f".{path.name}.tmp")
        try:
            with whole.open("wb") as file:
                file.write(made.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            # After fsync: a name that is there stands for a file that is whole.
            os.replace(whole, path)
        finally:
            whole.unlink(missing_ok=True)  # else a full disk stays full


def _without_waiting(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
