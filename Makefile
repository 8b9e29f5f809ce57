# Cityloom. `make` lists the targets; docs/operations.md says more.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q --durations=5
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
# The tiers share two cores and their servers: one at a time, also under `make -j`.
.NOTPARALLEL:
.PHONY: help setup browser run stop test test-unit test-warehouse test-system test-filters lint docs format bench pins generate picture clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: ## Make the environments .venv and .venv-superset (quick when current)
	@$(PYTHON) infra/setup.py

run: setup ## Start the stack and run the demo city's whole pipeline
	@$(BIN)/cityloom up
	@$(BIN)/cityloom run demo

stop: ## Stop the servers; what is stored stays
	@if [ -x $(BIN)/cityloom ]; then $(BIN)/cityloom down; fi

browser: setup ## Find or install a headless browser for the tests
	@$(BIN)/python -m dashboards.chromium

test: setup browser ## Run every tier: unit, warehouse, system; also after one that failed
	@$(MAKE) --no-print-directory --keep-going test-unit test-warehouse test-system

# The unit tier has no server to share: a file of tests goes to whichever core is free.
test-unit: setup ## Run the unit tier (seconds, no server)
	@$(PYTEST) tests/unit -n 2 --dist loadfile

test-warehouse: setup ## Run the warehouse tier (embedded PostgreSQL)
	@$(PYTEST) tests/warehouse

test-system: setup browser ## Run the system tier (the real servers and a browser)
	@$(PYTEST) tests/system

test-filters: setup browser ## Compare the pages with the warehouse in 300 states of the filters
	@CITYLOOM_FILTER_STATES=300 $(PYTEST) tests/system/test_page_filters.py

lint: setup ## Check style, types, dependencies, rooms, generated files: .pre-commit-config.yaml
	@$(BIN)/pre-commit run --all-files --color=auto

docs: setup ## Build the docs site, build/docs/index.html; a broken link fails
	@$(BIN)/zensical build --strict --clean

format: setup ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: setup ## Benchmark ingest against COPY and dlt, dbt through Airflow, and builds of long histories
	@$(BIN)/python -m bench

generate: setup ## Write dbt_project/generated/ from cities/ and indicators, for dbt by hand
	@$(BIN)/python -m catalog.generate

picture: browser ## Take the README's picture of the running dashboard, docs/images/city-overview.png
	@$(BIN)/cityloom dashboards pictures docs/images --dashboard city-overview --first-screen

# find-links are left out, and a local build's suffix (+cpu): they are one machine's, no pin's.
COMPILE := UV_FIND_LINKS= $(PYTHON) infra/setup.py pip compile --quiet --universal --python-version 3.11 \
	--overrides constraints/overrides.txt --no-header --no-annotate --no-emit-index-url --no-emit-find-links

pins: ## Resolve constraints/*.txt for what pyproject.toml asks (UPGRADE=1: newest versions)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --group dev --output-file constraints/platform.txt
	@$(COMPILE) $(if $(UPGRADE),--upgrade) constraints/superset.in --output-file constraints/superset.txt
	@sed -E -i.before 's/==([^ ;+]+)\+[^ ;]+/==\1/' constraints/platform.txt constraints/superset.txt
	@rm constraints/*.before

clean: ## Stop the servers, remove environments and caches; the data under CITYLOOM_HOME stays
	@$(MAKE) --no-print-directory stop || echo "clean: servers that still run are ended by the next 'cityloom up'"
	rm -rf .venv .venv-superset build *.egg-info .cache .ruff_cache .mypy_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf dbt_project/target dbt_project/logs dbt_project/generated
	find . -name __pycache__ -type d -not -path './.cityloom/*' -prune -exec rm -rf {} +
