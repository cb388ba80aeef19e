.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test files run side by side, each worker with servers of its own; SIDE_BY_SIDE= runs them one after another.
SIDE_BY_SIDE ?= -n 3 --dist loadfile
STAMP := $(VENV)/.horarium-ready

.PHONY: help up test chaos bench check fix lint types imports fast clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip uv
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv sync --quiet --frozen --active --inexact
	@touch $@

up: $(STAMP) ## Install into .venv and run everything on this machine: horarium dev
	@$(BIN)/horarium dev $(ARGS)

test: $(STAMP) ## All tests, against real servers that the tests start themselves
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS) || { \
		echo "the tests that failed side by side are run once more, alone:"; \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none -p no:xdist $(ARGS); }

chaos: $(STAMP) ## Every fault at 100 firings a second, then a table; about an hour
	@HORARIUM_TEST_CHAOS=1 $(BIN)/python -m pytest tests/faults tests/simulation -q $(ARGS)

check: $(STAMP) lint types imports fast ## Format, lint, types, import contracts, fast tests

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { echo "run: make fix"; exit 1; }
	@$(BIN)/ruff check --quiet .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports --no-cache > .import-report || { cat .import-report; rm -f .import-report; exit 1; }
	@rm -f .import-report

fast: $(STAMP)
	@$(BIN)/python -m pytest -q -m "not servers and not slow"

bench: $(STAMP) ## Benchmarks beside the peers; ARGS="--quick" takes minutes, --only TEXT picks rows
	@$(BIN)/python -m tests.bench $(ARGS)

fix: $(STAMP) ## Format, and mend what the linter can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet . || true

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
