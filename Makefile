# `make` alone lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
BENCH := .venv-bench

# Bytecode is worth a second to every task that starts.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

.PHONY: help install test live slow chaos check demo bench format clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  \033[36mmake %-8s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Set everything up: .venv from uv.lock, Delta's jars (does nothing when nothing changed)
	@scripts/install

demo: install ## Run a week of New York's flights through a real Airflow; DEMO_EXIT=1 does not wait in the UI
	@$(PY) -m demo

test: install ## Run the tests (up to ten minutes)
	@$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

live: install ## Run the tests on a running Airflow: SLA mails, forms and the status page in a browser, backfills …
	@scripts/debian postgresql chromium
	@UV_PYTHON_DOWNLOADS=never .venv/bin/uv sync --frozen --quiet --group browser
	@$(PY) -m pytest -q -n 3 --dist loadscope --no-loadscope-reorder -m live tests/live

slow: install ## Run the tests on Spark that `make test` leaves out (about an hour)
	@$(PY) -m pytest -q -n 2 --dist loadfile -m "slow and not live" --ignore tests/chaos

chaos: install ## Kill every step at every write, and try 200 random sequences (about two hours; chaos-*.txt)
	@rm -f chaos-*.txt
	@CHAOS=all $(PY) -m pytest -q -n 2 --dist load --maxschedchunk 1 tests/chaos

check: install ## Run what is fast: ruff, mypy, import-linter, tests without Spark and Airflow
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@.venv/bin/lint-imports --no-logo
	@$(PY) -m mypy
	@$(PY) -m pytest -q -n 2 -m "not spark and not airflow and not live"

bench: install ## Measure against dag-factory, dlt and statements written by hand
	@UV_PROJECT_ENVIRONMENT=$(BENCH) UV_PYTHON_DOWNLOADS=never .venv/bin/uv sync --frozen --quiet --group bench
	@$(BENCH)/bin/python -m benchmarks

format: install ## Format the code and mend what ruff can mend
	@$(PY) -m ruff check --fix --quiet .
	@$(PY) -m ruff format .

clean: ## Remove what was made: .venv, .demo, caches
	@rm -rf .venv $(BENCH) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
