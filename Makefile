# The one door. `make demo` and `make test` set everything up by themselves: Python 3.11 or newer, pip, make and git.

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage docs lock bench trials clean

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.14,\
	$(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null)))
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

help: ## these lines
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## the whole line on this machine, with an inbox to look into; ONCE=1 ends after the delivery
	@$(BIN)/mailworker demo $(if $(filter-out 0,$(ONCE)),--once)

test: $(READY) ## all tests; TESTS="tests/unit -k php" runs some
	@$(BIN)/python -m pytest $(TESTS)

check: $(READY) ## format, lint, import direction, types, then the tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

bench: $(READY) ## speed beside the other ways to do it; QUICK=1 takes a minute
	@$(BIN)/python -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick)

trials: $(READY) ## kills, outages and lies, with both ledgers compared; QUICK=1 is the short form
	@$(BIN)/python -m trials $(if $(filter-out 0,$(QUICK)),--quick)

coverage: $(READY) ## the tests, and what none of them has been to, by lines and branches; TESTS="…" as above
	@$(BIN)/coverage erase
	-@$(BIN)/coverage run -m pytest --quiet -m "not timed" $(TESTS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

docs: $(READY) ## writes the tables of settings and reasons in docs/ from the code
	@$(BIN)/python docs/tables.py

lock: ## writes requirements.lock anew from pyproject.toml; needs uv
	$(or $(wildcard $(BIN)/uv),uv) pip compile pyproject.toml --all-extras --universal --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.lock
	$(or $(wildcard $(BIN)/uv),uv) pip compile pyproject.toml --extra dkim --universal --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements-runtime.lock

clean: ## removes what the other targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that is installed is named in the lock with its hash, the tool that builds the project included.
$(READY): requirements.lock pyproject.toml
	@$(if $(PYTHON),,echo "mailworker needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1)
	@echo "Setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
