# Every target makes or refreshes .venv first; nothing but python3 (3.11 or 3.12) is needed.
PYTHON ?= python3
VENV := .venv/bin/python
READY := .venv/.ready
BENCH_VENV := .venv-bench/bin/python
BENCH_READY := .venv-bench/.ready
DOCS_VENV := .venv-docs/bin/python
DOCS_READY := .venv-docs/.ready
# What starts a cluster or a browser stays in one of the two workers (tests/conftest.py).
BOTH_CORES := -n 2 --dist loadgroup

.PHONY: help install demo tour ui serve gallery test quick chaos full lint bench docs clean

help:
	@echo "make install  install into .venv; every other target does it first"
	@echo "make demo   make the embedded world and its hosts, train and reinforce an AV and an AR"
	@echo "make tour   all of the platform on a Ray cluster of this machine: job, sweep, server, evaluation"
	@echo "make ui     show what was run here, and what is running, in MLflow at http://127.0.0.1:5000"
	@echo "make serve  serve the demo's bundles and evaluations at http://127.0.0.1:8000"
	@echo "make gallery  record examples of the demo in one page that opens from disk: runs/gallery.html"
	@echo "make test   run every test that needs no GPU"
	@echo "make quick  lint, types, and the tests that start no cluster and take no time"
	@echo "make chaos  kill nodes and roles of a local cluster in the middle of their work"
	@echo "make full   the long walks (kills, corruption, all families ...), in parts that resume"
	@echo "make lint   check format, lint and types"
	@echo "make bench  time hot paths beside their peers (bench/README.md)"
	@echo "make docs   build the documentation into site/, which opens from disk: site/index.html"
	@echo "make clean  remove .venv, .venv-bench, .venv-docs, site and caches; results in runs/ stay"

install: $(READY)
	@echo "installed; for the command interlingua: . .venv/bin/activate"

demo: $(READY)
	$(VENV) -m jobs.run demo

tour: $(READY)
	$(VENV) -m jobs.tour

ui: $(READY)
	$(VENV) -m jobs.ui

serve: $(READY)
	@ls -d runs/bundle/demo-rl-* > /dev/null || (echo "run make demo first"; exit 1)
	$(VENV) -m serve.app demo=$$(ls -td runs/bundle/demo-rl-???????????? | head -1) \
		demo-sft=$$(ls -td runs/bundle/demo-???????????? | head -1)

gallery: $(READY)
	@ls -d runs/bundle/demo-rl-* > /dev/null || (echo "run make demo first"; exit 1)
	$(VENV) -m jobs.gallery demo=$$(ls -td runs/bundle/demo-rl-???????????? | head -1) \
		demo-sft=$$(ls -td runs/bundle/demo-???????????? | head -1) --page runs/gallery.html

test: $(READY)
	$(VENV) -m pytest $(BOTH_CORES) --durations=25

quick: lint
	$(VENV) -m pytest $(BOTH_CORES) -m "not ray and not slow"

chaos: $(READY)
	$(VENV) -m pytest tests/chaos

full: $(READY)
	$(VENV) -m tests.full $(PARTS)

lint: $(READY)
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy

bench: export PYTHONPATH = platform
bench: $(BENCH_READY) $(READY)
	$(BENCH_VENV) -m bench.shards
	$(BENCH_VENV) -m bench.linear
	$(BENCH_VENV) -m bench.statistics
	$(BENCH_VENV) -m bench.extraction
	$(BENCH_VENV) -m bench.corpora
	$(BENCH_VENV) -m bench.widths
	$(BENCH_VENV) -m bench.memory
	$(BENCH_VENV) -m bench.decoding
	$(BENCH_VENV) -m bench.sft
	$(VENV) -m bench.rl
	$(VENV) -m bench.sweep
	$(VENV) -m bench.serve
	$(VENV) -m bench.explorer
	$(VENV) -m bench.find

# Tables come from the code, which only .venv can import; the site is made from text alone.
docs: export PYTHONPATH = platform
docs: $(DOCS_READY) $(READY)
	$(VENV) docs/tools/made.py build/docs
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV) -m mkdocs build --strict --quiet

clean:
	rm -rf .venv .venv-bench .venv-docs site build/docs .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamp comes last: an install that was broken off is done again.
$(READY): pyproject.toml constraints.txt
	@echo "installing into .venv (2 GB; takes a few minutes the first time)"
	$(PYTHON) -m venv .venv
	$(VENV) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# The peers have an environment of their own: the product never depends on them.
$(BENCH_READY): constraints.txt bench/constraints.txt bench/requirements.txt
	@echo "installing into .venv-bench (2 GB; takes a few minutes the first time)"
	$(PYTHON) -m venv .venv-bench
	$(BENCH_VENV) -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -c bench/constraints.txt -r bench/requirements.txt
	@touch $@

# What builds the site is no part of the product: one list of names, in pyproject.toml.
$(DOCS_READY): pyproject.toml docs/constraints.txt
	@echo "installing into .venv-docs (100 MB)"
	$(PYTHON) -m venv .venv-docs
	$(DOCS_VENV) -m pip install --quiet --disable-pip-version-check -c docs/constraints.txt \
		$$($(PYTHON) -c "import tomllib; f = open('pyproject.toml', 'rb'); \
		print(*tomllib.load(f)['project']['optional-dependencies']['docs'])")
	@touch $@
