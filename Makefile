# Needs Python 3.10 or newer with venv, make, and a package index that pip can reach.
PYTHON ?= python3
PEERS := build/peers
BIN := $(CURDIR)/.venv/bin
OLD_UV := build/uv-0.6.14
DEMO := build/demo

.PHONY: help demo pyz test coverage check unit lint fuzz bench corpus test-internet clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

demo: .venv/ready ## Bundle a script, publish it and run it with no network
	@rm -rf $(DEMO)/task && mkdir -p $(DEMO)
	cd $(DEMO) && "$(BIN)"/bundle ../../tests/examples/eval.py
	cd $(DEMO) && publication=$$("$(BIN)"/publish-index share) && "$(BIN)"/bundler rehearse "$$publication" --output task
	@echo "$(CURDIR)/$(DEMO)/task/plot.png"

pyz: .venv/ready ## Write the far-side tool as one file, build/bundler.pyz
	@mkdir -p build
	"$(BIN)"/bundler pyz --output build/bundler.pyz

# Without coverage, which would double the time.
test: lint $(OLD_UV)/bin/uv ## Run lint and all tests (a quarter of an hour)
	"$(BIN)"/pytest tests

coverage: .venv/ready ## Run the unit and integration tests with coverage (eight minutes)
	"$(BIN)"/pytest tests/unit tests/integration tests/fuzz --cov

check: lint unit ## Run lint and the unit tests (one minute)

unit: .venv/ready ## Run the unit tests (half a minute)
	"$(BIN)"/pytest tests/unit

lint: .venv/ready ## Check style, format, types and the direction of imports
	"$(BIN)"/ruff check
	"$(BIN)"/ruff format --check
	"$(BIN)"/mypy
	"$(BIN)"/lint-imports

fuzz: .venv/ready ## Feed 150,000 hostile inputs to all readers, and 5,000 odd calls to all commands (ten minutes)
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	"$(BIN)"/python -m tests.fuzz
	"$(BIN)"/python -m tests.fuzz --runs 100000 bundles
	"$(BIN)"/python -m tests.fuzz.command_line

bench: .venv/ready $(PEERS)/ready ## Measure against other tools, over the real package index
	"$(BIN)"/python -m tests.benchmarks.bundling
	"$(BIN)"/python -m tests.benchmarks.peers $(PEERS) 1
	"$(BIN)"/python -m tests.benchmarks.node
	"$(BIN)"/python -m tests.benchmarks.jobs
	"$(BIN)"/python -m tests.benchmarks.archives
	"$(BIN)"/python -m tests.benchmarks.store $(PEERS)
	"$(BIN)"/python -m tests.benchmarks.signatures
	"$(BIN)"/python -m tests.benchmarks.audit $(PEERS)

corpus: .venv/ready ## Bundle and run fifty realistic scripts, over the real package index
	"$(BIN)"/python -m tests.corpus

test-internet: .venv/ready $(OLD_UV)/bin/uv ## Run the few tests that use the public package index
	"$(BIN)"/pytest -m internet

clean: ## Remove all that these targets made
	rm -rf .venv build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	# Modules are compiled when they are imported, which few of them ever are.
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@

# What `bundle` is measured against, in an environment of its own.
$(PEERS)/ready:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check pex uv-wheel-download pip-tools \
		dumb-pypi python-pypi-mirror pip2pi simple-repository-generator pip-audit
	@touch $@

# The oldest uv that published scripts run with: the one of the public HPS example.
$(OLD_UV)/bin/uv: .venv/ready
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --upgrade --target $(OLD_UV) uv==0.6.14
	@touch $@
