# Everything a newcomer needs: `make run`, `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= config.example.toml
# Test files run side by side, more than there are cores: most of them wait for servers. JOBS=0 runs one after the other.
JOBS ?= 3
DIR ?= ../shared/conformance/promqltest

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A virtual environment with the pinned dependencies. Where the system's Python cannot make one, Debian's
# python3-venv is fetched first.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sentinel needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); ./deploy/need python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.run: pyproject.toml constraints.txt hatch_build.py | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

.PHONY: install
install: $(VENV)/.run ## Install Sentinel into .venv

.PHONY: run
run: install ## Run the daemon with CONFIG (default config.example.toml); pages on http://127.0.0.1:9788/
	$(BIN)/sentinel run --config $(CONFIG)

.PHONY: servers
servers: ## Fetch the real servers that tests need into .servers/ (nothing is installed, started or enabled)
	@tests/servers/fetch

# Tests start the daemon a hundred times: its modules are compiled once, whatever the environment says. The files
# that wait longest, those with whole daemons, come first in the alphabet; xdist would keep them for the end.
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.test servers ## Run all tests, real servers included
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations 12 $(ARGS)

.PHONY: lint
lint: $(VENV)/.test ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.test ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

BENCHES := snmp ssh probes queries rules ranges history exposition remote latency
.PHONY: bench $(addprefix bench-,$(BENCHES))
bench: $(addprefix bench-,$(BENCHES)) ## Measure everything beside its peers; figures in bench/out/
$(addprefix bench-,$(BENCHES)): bench-%: $(VENV)/.test servers
	$(BIN)/python -m bench.$*

.PHONY: bench-snmp-fleet
bench-snmp-fleet: $(VENV)/.test servers ## Poll a thousand simulated switches in one process, some of them silent
	$(BIN)/python -m bench.snmp_fleet

.PHONY: bench-ssh-fleet
bench-ssh-fleet: $(VENV)/.test servers ## Poll 500 addresses of a real sshd in one process, some of them silent
	$(BIN)/python -m bench.ssh_fleet

.PHONY: conformance
conformance: $(VENV)/.test ## Run Prometheus' engine tests: make conformance DIR=<folder of .test files>
	$(BIN)/python -m bench.conformance $(DIR)

.PHONY: parity
parity: $(VENV)/.test servers ## Compare a server's series with node_exporter's names
	$(BIN)/python -m bench.parity

.PHONY: test-faults
test-faults: $(VENV)/.test servers ## Kill sender and daemon at random moments, send alerts by thousands, spoil SNMP answers
	$(BIN)/python -m bench.faults
	$(BIN)/python -m bench.snmp_fuzz
	$(BIN)/python -m bench.store_away
	$(BIN)/python -m bench.kills
	$(BIN)/python -m bench.storm
	SENTINEL_TEST_ALERTS=1000 SENTINEL_TEST_RELOADS=100 $(BIN)/pytest tests/faults/test_restart.py tests/faults/test_reloads.py
	SENTINEL_TEST_STORM=10000 $(BIN)/pytest tests/acceptance/test_alert_storm.py --capture no

.PHONY: docs
docs: $(VENV)/.test ## Write the reference pages that follow from the code
	$(BIN)/python -m docs.build

.PHONY: screenshot
screenshot: $(VENV)/.test servers ## Take docs/overview.png from a running daemon
	$(BIN)/python -m tests.ui.screenshot

.PHONY: package
package: $(VENV)/.test ## Build the wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

.PHONY: clean
clean: ## Remove everything that make brought
	rm -rf $(VENV) .servers dist bench/out .mypy_cache .ruff_cache sentinel-data
