# What can be done with a checkout of annexd. `make` alone lists it.

# The first Python that is new enough; the plain name serves for the complaint when there is none.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || echo python3)
VENV   ?= .venv
REPO   ?=
ARGS   ?=
export REPO
export PIP_DISABLE_PIP_VERSION_CHECK := 1
BIN    := $(VENV)/bin
# Two at a time: the tests start programs of their own.
JOBS   ?= 2

DEBIAN_PACKAGES := git openssh-server openssh-client exfat-fuse exfatprogs

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-all check format bench packages clean

help:  ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run REPO=~/annex    the folder to keep in sync"
	@echo "  make test ARGS='-k key'  more options for pytest (likewise: bench)"

setup: $(BIN)/.with-check  ## make the virtual environment with everything to develop annexd
	@echo "Ready: $(BIN)/annexd"

run: $(BIN)/.with-annexd  ## keep the folder REPO in sync, in the foreground; makes it an annex when it is none
	@test -n "$$REPO" || { echo "Say which folder: make run REPO=~/annex" >&2; exit 2; }
	@exec sh tools/run "$(abspath $(BIN))" "$$REPO"

demo: $(BIN)/.with-annexd  ## two throw-away folders kept in sync, narrated
	@PATH="$(abspath $(BIN)):$$PATH" sh tools/demo

test: packages $(BIN)/.with-test  ## the everyday tests; installs what they need
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-all: packages $(BIN)/.with-test  ## all tests, the long ones too
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --timeout 600 $(ARGS)

check: $(BIN)/.with-check  ## linter, types, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.with-check  ## sort imports and repair what the linter can
	$(BIN)/ruff check --fix .

bench: $(BIN)/.with-test  ## measure annexd beside the floor of the same work, git-annex and Syncthing
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.bench $(ARGS)

packages:  # what the tests need of the system
	@sh tools/packages $(DEBIAN_PACKAGES)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The virtual environment, in layers: each stamp says what is installed. Older than pyproject.toml means: again.

$(BIN)/python:
	@$(PYTHON) tools/check_python
	$(PYTHON) -m venv $(VENV)

$(BIN)/.with-annexd: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(BIN)/.with-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(BIN)/.with-annexd

$(BIN)/.with-check: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,check]'
	@touch $@ $(BIN)/.with-annexd $(BIN)/.with-test
