# `make demo` and `make test` are all a fresh machine needs: Python 3.11+, git and make.
PYTHON ?= python3
PORT ?= 8000
DEMO_SERVE ?= 1
DEMO_DIR ?= demo
PYTEST_FLAGS ?=
# two workers: each that meets an Elasticsearch test starts a server of its own, with 1 GB of heap
TEST_WORKERS ?= 2
BIN := .venv/bin
# uv keeps what it fetched in its cache and links it: a second checkout installs in seconds
UV := $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help install lock demo test format lint types imports unit clean

help: ## Say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Create .venv and install everything, pinned

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Hooke needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

lock: ## Bring requirements.lock up to date with pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

demo: install ## Build the demo index, ask it a merged question, serve page and API (PORT=8000, DEMO_SERVE=0: do not serve)
	$(BIN)/hooke demo --dir $(DEMO_DIR)
ifeq ($(DEMO_SERVE),1)
	@echo
	@echo "Open http://127.0.0.1:$(PORT)"
	$(BIN)/hooke serve --index $(DEMO_DIR)/index --port $(PORT)
else
	@echo "Serve it with: $(BIN)/hooke serve --index $(DEMO_DIR)/index --port $(PORT)"
endif

test: install format lint types imports unit ## Format check, lint, types, import rules, all tests

format: install
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

unit: install
	$(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile $(PYTEST_FLAGS)

clean: ## Remove everything that make made
	rm -rf .venv demo dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
