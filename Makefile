# What a newcomer and the CI do, one target each. Needs Python 3.11 or newer with its venv module; everything
# else goes into .venv and .cache, which `make clean` removes.

PYTHONS ?= python3.13 python3.12 python3.11 python3
BIN := .venv/bin
# Most tests wait more than they work. A file stays whole, so what its tests share is set up once.
WORKERS ?= 3
PARALLEL := --numprocesses $(WORKERS) --dist loadfile
NODE_SERVERS := @modelcontextprotocol/server-everything@2026.8.31
NODE_STAMP := .cache/node/$(subst /,-,$(NODE_SERVERS)).installed
PEERS := .cache/peers
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run install check docs test test-long conformance bench bench-peers clean node-servers

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: .venv/.installed ## Start the gateway with its screen; ARGS="..." go to the only1mcp command
	@exec $(BIN)/only1mcp $(ARGS)

install: .venv/.installed ## Install the only1mcp command into .venv
	@echo "Installed: $(BIN)/only1mcp"

check: .venv/.installed-dev ## Lint, formatting, types, import rules, the repository's own rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --quiet tests/test_repository.py

docs: .venv/.installed-dev ## Renew the generated parts of the docs
	$(BIN)/python -m proxy_core.config.reference --write
	$(BIN)/python -m proxy_core.frontend.admin_reference --write
	$(BIN)/python -m tests.support.module_map
	$(BIN)/python -m tests.support.key_map

test: .venv/.installed-dev node-servers ## Run the tests; ARGS="..." go to pytest
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-long: .venv/.installed-dev node-servers ## Run the tests with the full counts as well
	$(BIN)/python -m pytest $(PARALLEL) -m "long or not long" $(ARGS)
	NO_FAST_PATH=1 $(BIN)/python -m pytest $(PARALLEL) -m "not long" $(ARGS)

conformance: .venv/.installed-dev ## Be judged by the official suite; ARGS=--accept promises what passes today, ARGS="--only HTTP" is quick
	$(BIN)/python -m tests.conformance $(ARGS)

bench: .venv/.installed-dev ## Measure speed and memory; QUICK=1: a short look; ARGS="lists micro": some of it; SAVE=name, BASELINE=name: keep, compare; MUST=1: fail where a must is missed
	QUICK=$(QUICK) MUST=$(MUST) SAVE=$(SAVE) BASELINE=$(BASELINE) $(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: .venv/bin/python ## Install other MCP proxies into .cache, which `make bench` then measures the gateway beside
	@for peer in fastmcp==4.2.3 mcp-proxy==0.13.0; do \
	  $(BIN)/python -m venv $(PEERS)/$${peer%%=*} && \
	  $(PEERS)/$${peer%%=*}/bin/python -m pip install --quiet --disable-pip-version-check $$peer || exit 1; \
	done
	@npm install --loglevel error --no-save --no-package-lock --no-audit --no-fund --prefix $(PEERS)/node supergateway@4.0.0

clean: ## Remove what the other targets made, .venv included
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing Only1MCP into .venv ..."
	@$(PIP_INSTALL) --editable .
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing Only1MCP and its development tools into .venv ..."
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch .venv/.installed $@

.venv/bin/python:
	@found=; \
	for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Only1MCP needs Python 3.11 or newer; none of these is one: $(PYTHONS)." >&2; \
	  echo "Install one, or name yours: make PYTHONS=/path/to/python ..." >&2; exit 1; \
	fi; \
	if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$found has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	$$found -m venv .venv || { rm -rf .venv; exit 1; }

# Real MCP servers on Node.js, for the tests marked `node`; without npm those are skipped and say so.
node-servers:
	@if [ -e "$(NODE_STAMP)" ]; then :; \
	elif ! command -v npm >/dev/null 2>&1; then echo "npm is not installed: the tests that need Node.js will be skipped."; \
	elif npm install --loglevel error --no-save --no-package-lock --no-audit --no-fund --prefix .cache/node $(NODE_SERVERS); \
	then touch "$(NODE_STAMP)"; \
	else echo "npm could not install $(NODE_SERVERS): the tests that need Node.js will be skipped."; fi
