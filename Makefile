# Everything a person types. `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv
# What the peers' bench measures the platform against is 0.8 GB, and stays out of the way.
PEERS_VENV ?= .venv-peers
# Three processes, because many tests wait for a server; each with whole test modules, in the order of
# the folders: the long ones, which start servers, come first. The other way one process had nothing
# to do for the last five minutes.
TEST_WORKERS ?= 3
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ADX := $(BIN)/adx
# The lock's header records its command; ours keeps paths and index addresses out of it. Extras stay
# in the lock because pip, told to require hashes, looks for `gql[requests]` by that very name.
RESOLVE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-strip-extras --custom-compile-command "make lock" --quiet
LOCK := $(RESOLVE) pyproject.toml --group build

.DEFAULT_GOAL := help
.PHONY: help demo dev drill test check format lock clean bench bench-peers faults fuzz verify-redshift verify-hive

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo-ready ## install, then run the whole line once on this machine and print its report
	@$(ADX) demo

dev: $(VENV)/.demo-ready ## install, then run the living platform until Ctrl-C; options: ADX_ARGS="--speed 60"
	@exec $(ADX) dev $(ADX_ARGS)

drill: $(VENV)/.demo-ready ## install, then break the living platform twelve times and print the score
	@exec $(ADX) drill $(ADX_ARGS)

test: $(VENV)/.test-ready ## install, then run every test that this machine can run
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.test-ready ## lint, types, and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test-ready ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test-ready ## measure speed and memory on this machine and print a table
	@$(BIN)/python -m assets_tests.bench

bench-peers: $(VENV)/.test-ready $(PEERS_VENV)/.ready ## measure adx beside Spark, dlt and a plain loop on one Kafka (needs Java and Maven)
	@$(BIN)/python -m assets_tests.bench.peers --peers-python $(PEERS_VENV)/bin/python $(BENCH_ARGS)

faults: $(VENV)/.test-ready ## kill, stop, double and starve ingest workers 200 times; half an hour (needs Java and Maven)
	@$(BIN)/python -m assets_tests.faults $(FAULTS_ARGS)

fuzz: $(VENV)/.test-ready ## send hostile messages through every codec for ten minutes each
	@$(BIN)/python -m assets_tests.fuzz $(FUZZ_ARGS)

verify-redshift: $(VENV)/.test-ready ## prove load and build on a Redshift that you have (docs/redshift.md)
	@$(BIN)/python -m assets_tests.verify_redshift $(VERIFY_ARGS)

verify-hive: $(VENV)/.test-ready ## hold Hive's protocol, run by Spark, against DuckDB (docs/hive.md)
	@$(BIN)/python -m assets_tests.verify_hive

lock: ## resolve the dependencies again (needs uv)
	$(LOCK) --extra embedded -o requirements/runtime.lock
	$(LOCK) --extra embedded --extra spark --group test --group lint -o requirements/dev.lock
	$(LOCK) --extra shared -o requirements/shared.lock
	$(RESOLVE) requirements/peers.in -o requirements/peers.lock

clean: ## stop the local services and delete all local state (the environment stays)
	@if [ -x "$(ADX)" ]; then "$(ADX)" down; ADX_HOME=.adx-dev "$(ADX)" down; fi
	rm -rf .adx .adx-dev .adx-drill dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	sys.exit(None if ok else f"adx needs Python 3.11 to 3.13, this is {sys.version.split()[0]}: set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: $(VENV)/pyvenv.cfg requirements/runtime.lock pyproject.toml
	@echo "Installing the locked requirements into $(VENV) (once, a minute or two) ..."
	$(PIP) --require-hashes -r requirements/runtime.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test-ready: $(VENV)/pyvenv.cfg requirements/dev.lock pyproject.toml
	@echo "Installing the locked development requirements into $(VENV) (once, a minute or two) ..."
	$(PIP) --require-hashes -r requirements/dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@# All that the demo needs is among them: pip took 20 s to find that out.
	@touch $@ $(VENV)/.demo-ready

$(PEERS_VENV)/.ready: requirements/peers.lock
	@echo "Installing the peers into $(PEERS_VENV) (once, a minute or two) ..."
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/peers.lock
	@touch $@
