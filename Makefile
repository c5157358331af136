# Every target makes or refreshes .venv first; nothing but python3 (3.11 or 3.12) is needed.
PYTHON ?= python3
VENV := .venv/bin/python
READY := .venv/.ready

.PHONY: help demo test lint clean

help:
	@echo "make demo   make the embedded world, pretrain its hosts, print what they learned"
	@echo "make test   run every test that needs no GPU"
	@echo "make lint   check format, lint and types"
	@echo "make clean  remove .venv and caches; results in runs/ stay"

demo: $(READY)
	$(VENV) -m jobs.run world

test: $(READY)
	$(VENV) -m pytest

lint: $(READY)
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamp comes last: an install that was broken off is done again.
$(READY): pyproject.toml constraints.txt
	@echo "installing into .venv (2 GB; takes a few minutes the first time)"
	$(PYTHON) -m venv .venv
	$(VENV) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@
