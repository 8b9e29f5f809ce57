# Cityloom. `make` lists the targets; docs/operations.md says more.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup browser run stop test test-unit test-warehouse test-system lint docs format bench pins generate picture clean

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
	@$(BIN)/python -m infra.browser

test: setup browser ## Run every tier: unit, warehouse, system
	@$(BIN)/python -m infra.tiers unit warehouse system

test-unit: setup ## Run the unit tier (seconds, no server)
	@$(BIN)/python -m infra.tiers unit

test-warehouse: setup ## Run the warehouse tier (embedded PostgreSQL)
	@$(BIN)/python -m infra.tiers warehouse

test-system: setup browser ## Run the system tier (the real servers and a browser)
	@$(BIN)/python -m infra.tiers system

lint: setup ## Check style, types, dependencies, rooms, generated files: .pre-commit-config.yaml
	@$(BIN)/pre-commit run --all-files --color=auto

docs: setup ## Build the docs site, build/docs/index.html; a broken link fails
	@$(BIN)/zensical build --strict --clean

format: setup ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: setup ## Benchmark ingest against COPY and dlt, and dbt through Airflow against native
	@$(BIN)/python -m bench

generate: setup ## Write dbt_project/generated/ from cities/, for dbt by hand
	@$(BIN)/python -m catalog.generate

picture: browser ## Take the README's picture of the running dashboard, docs/images/city-overview.png
	@$(BIN)/cityloom dashboards picture

pins: ## Resolve constraints/*.txt for what pyproject.toml asks (UPGRADE=1: newest versions)
	@$(PYTHON) infra/setup.py pins $(if $(UPGRADE),--upgrade)

clean: ## Stop the servers, remove environments and caches; the data under CITYLOOM_HOME stays
	@$(MAKE) --no-print-directory stop || echo "clean: servers that still run are ended by the next 'cityloom up'"
	rm -rf .venv .venv-superset build *.egg-info .cache .ruff_cache .mypy_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf dbt_project/target dbt_project/logs dbt_project/generated
	find . -name __pycache__ -type d -not -path './.cityloom/*' -prune -exec rm -rf {} +
