# Needs Python 3.10 or newer with venv, make, and a package index that pip can reach.
PYTHON ?= python3
PEERS := build/peers
BIN := $(CURDIR)/.venv/bin
OLD_UV := build/uv-0.6.14
DEMO := build/demo

.PHONY: demo test lint bench corpus test-internet clean

# The whole job once: bundle, publish, and run the published script with no network.
demo: .venv/ready
	@rm -rf $(DEMO)/task && mkdir -p $(DEMO)
	cd $(DEMO) && "$(BIN)"/bundle ../../tests/examples/eval.py
	cd $(DEMO) && publication=$$("$(BIN)"/publish-index share) && "$(BIN)"/bundler rehearse "$$publication" --output task
	@echo "$(CURDIR)/$(DEMO)/task/plot.png"

test: lint $(OLD_UV)/bin/uv
	"$(BIN)"/pytest

lint: .venv/ready
	"$(BIN)"/ruff check
	"$(BIN)"/ruff format --check
	"$(BIN)"/mypy
	"$(BIN)"/lint-imports

# Against the peers, over the real package index; prints ratios.
bench: .venv/ready $(PEERS)/ready
	"$(BIN)"/python -m tests.benchmarks.bundling
	"$(BIN)"/python -m tests.benchmarks.peers $(PEERS) 1
	"$(BIN)"/python -m tests.benchmarks.node
	"$(BIN)"/python -m tests.benchmarks.jobs

# Scripts in the shape of real ones, over the real package index: bundled, compared with uv, run with no network.
corpus: .venv/ready
	"$(BIN)"/python -m tests.corpus

# The few tests that use the public package index.
test-internet: .venv/ready $(OLD_UV)/bin/uv
	"$(BIN)"/pytest -m internet

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# What `bundle` is measured against, in an environment of its own.
$(PEERS)/ready:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check pex uv-wheel-download pip-tools
	@touch $@

# The oldest uv that published scripts run with: the one of the public HPS example.
$(OLD_UV)/bin/uv: .venv/ready
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --upgrade --target $(OLD_UV) uv==0.6.14
	@touch $@

clean:
	rm -rf .venv build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
