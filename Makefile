# The one entry point for every task: `make help` lists them.
#
#   PYTHON=python3.12          the interpreter to build environments with
#   ARGS="tests/x.py -k name"  passed on to pytest, or to the demo
#   JOBS=4                     how many tests run at a time
#   CELLS="3.9-lowest *-latest"  which cells `make test-all` runs

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo demo-incident bench-app bench bench-quick bench-guard env lint format test
.PHONY: coverage test-full test-debug test-uvloop test-all conformance stress docs dist clean

# What a shell may carry must not decide which code is tested.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS

ifndef PYTHON
PYTHON = $(eval PYTHON := $(shell tools/find-python))$(PYTHON)
endif
ARGS ?=
CELLS ?=
JOBS ?= 4
export DATABASE

TEST_ENV := .venvs/test
BIN := $(TEST_ENV)/bin
# What the gate on coverage is about: the library's own tests.
COVERED := tests/unit tests/differential
# Measured where CI is set, or by `make coverage`: it takes time.
COVERAGE := $(if $(or $(CI),$(GATE)),--cov --cov-report=term-missing:skip-covered)
# What stands on the core: its own gate is in setup.cfg.
NOT_CORE := */_scan/*,*/_stalls/*,*/jobs/*,*/status/*
# The pages without the site that is made of them.
PAGES := $(filter-out %/test_site.py,$(wildcard tests/docs/test_*.py))
FOLDERS := $(patsubst %/,%,$(wildcard tests/*/))
ON_UVLOOP := tests/unit/handlers tests/unit/offload tests/unit/connection \
  tests/unit/limits tests/unit/shutdown tests/differential tests/conformance
REST := tests/docs/test_site.py $(filter-out $(COVERED) tests/docs tests/stress,$(FOLDERS))
# The suite then insists on testing the built wheel: tests/packaging. Files stay whole:
# some of their fixtures serve all their tests.
PYTEST := TORNADO_UNBLOCK_DIST="$(CURDIR)/dist" $(BIN)/pytest
PARALLEL := -n $(JOBS) --dist loadfile
TYPED := tornado_unblock tools

help: ## List the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) \
	  | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: .venv/ready ## Run the example service (DATABASE=mysql://… or postgresql://…)
	.venv/bin/python -m examples.order_service \
	  $${DATABASE:+--database "$$DATABASE"} $(ARGS)

demo-incident: .venv/ready ## Let a database get slow, and see what the status page shows
	.venv/bin/python -m examples.incident $(ARGS)

bench-app: .venv/ready ## Measure all the example stories, and write one page on them
	.venv/bin/python -m examples.bench_app $(ARGS)

bench: .venvs/bench/ready ## Measure against everything else (an hour and a half)
	.venvs/bench/bin/python -m benchmarks $(ARGS)

bench-quick: ## The same in seven minutes, roughly
	@$(MAKE) bench ARGS="--quick $(ARGS)"

bench-guard: env ## Fail if a hop costs 10 % more instructions than it did
	$(BIN)/python -m benchmarks.guard $(ARGS)

.venvs/bench/ready: setup.cfg pyproject.toml
	test -n "$(PYTHON)"
	test -x .venvs/bench/bin/python || "$(PYTHON)" -m venv .venvs/bench
	@echo 'Installing what the benchmarks need, once.'
	.venvs/bench/bin/python -m pip install --disable-pip-version-check -e '.[bench]'
	touch $@

.venv/ready: setup.cfg pyproject.toml
	test -n "$(PYTHON)"
	test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	@echo 'Installing what the examples need, once.'
	.venv/bin/python -m pip install --disable-pip-version-check -e '.[examples]'
	touch $@

env: # The wheel of this tree, installed with all tools into $(TEST_ENV)
	@test -n "$(PYTHON)"
	@"$(PYTHON)" tools/environments.py $(TEST_ENV) test lint docs

lint: env ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy --strict $(TYPED)

format: env ## Rewrite the sources the way lint wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint ## Lint, then test the library and the code in its documentation (4 minutes)
	$(PYTEST) $(or $(ARGS),$(PARALLEL) $(COVERAGE) $(COVERED))
	$(if $(ARGS),,$(if $(COVERAGE),$(BIN)/coverage report --fail-under=100 --omit="$(NOT_CORE)"))
	$(if $(ARGS),,$(PYTEST) $(PARALLEL) $(PAGES))

coverage: ## The same, and fail unless every line and branch of the core was run
	@$(MAKE) test GATE=yes

test-full: env ## All other tests: examples, benchmarks, packaging, Tornado's own, …
	TORNADO_UNBLOCK_DOCS=required $(PYTEST) $(or $(ARGS),$(REST))
	$(if $(ARGS),,$(PYTEST) --timeout=600 tests/stress -m quick)

test-debug: env ## The library's own tests under asyncio's debug mode
	PYTHONASYNCIODEBUG=1 $(PYTEST) $(or $(ARGS),$(PARALLEL) $(COVERED))

test-uvloop: env ## What a request passes through, and Tornado's own tests, on uvloop
	TORNADO_UNBLOCK_TEST_LOOP=uvloop $(PYTEST) $(or $(ARGS),$(PARALLEL) $(ON_UVLOOP))

test-all: ## The tests on every Python found, lowest and latest versions (CELLS=…)
	@test -n "$(PYTHON)"
	@TORNADO_UNBLOCK_DIST="$(CURDIR)/dist" \
	  "$(PYTHON)" tools/matrix.py --cells "$(CELLS)" -- $(ARGS)

conformance: env ## Only Tornado's own tests, with bodies moved to workers
	$(PYTEST) tests/conformance $(ARGS)

stress: env ## The stress tests: a crash proves a bug, a clean run proves little
	TORNADO_UNBLOCK_STRESS_SECONDS=$${TORNADO_UNBLOCK_STRESS_SECONDS:-300} \
	  $(PYTEST) --timeout=3600 tests/stress $(ARGS)

docs: env ## Build the documentation into build/docs
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs build/docs
	@echo build/docs/index.html

dist: ## Build the sdist and the wheel into dist/
	@test -n "$(PYTHON)"
	@"$(PYTHON)" -c 'import sys; sys.path.insert(0, "tools"); \
	  import environments; print(environments.build())'

clean: ## Remove everything that was built, installed or cached
	rm -rf .venv .venvs build dist htmlcov .coverage .coverage.* *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
