# Targets for people; `make` alone lists them. Nothing needs root, and only what changed is redone.
# Root gets Debian's QEMU by setup, too; others are told the command.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.khs-ready
PIP    := $(BIN)/python -m pip install --disable-pip-version-check

NATIVE_SOURCES := $(wildcard khs/core/*.[ch] khs/host/*.[ch] khs/host/devices/*.[ch] monitor/vm/*.[ch] monitor/bench/*.c) scripts/build_native.py
NATIVE         := build/.native
WORKERS        ?= 2
FUZZERS        ?=
SECONDS        ?= 60
SEED           ?= 1
KHS_CORPUS     ?= $(wildcard ../shared/corpus)
SOLUTION       ?= $(KHS_CORPUS)/cyberimmunity-edu__cyberimmune-systems-example-traffic-light-kos

.DEFAULT_GOAL := help
.PHONY: help setup run traffic-light test test-os guests lint fuzz bench wheel libkss clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup: $(READY) $(NATIVE) ## make .venv with everything needed, and build the native libraries
	@$(BIN)/python scripts/install_qemu.py

$(READY): pyproject.toml setup.py
	@test -x $(BIN)/python || { echo "setup: making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: what khs is built with"
	@$(PIP) --quiet 'setuptools>=77' wheel
	@echo "setup: packages, cross compiler and test tools; the first time takes a minute or two"
	@$(PIP) --no-build-isolation --editable '.[toolchain,qemu,tui,dev]'
	@touch $@

$(NATIVE): $(NATIVE_SOURCES) | $(READY)
	@echo "setup: the native libraries"
	@$(BIN)/python scripts/build_native.py
	@mkdir -p $(@D) && touch $@

run: setup ## boot the demonstration system, images/iot-gateway
	$(BIN)/khs run iot-gateway

traffic-light: setup ## boot a crossing: that of the traffic-light solution if KHS_CORPUS has it, else ours
	@if [ -d "$(SOLUTION)" ]; then \
	  echo "traffic-light: policy and interfaces of $(SOLUTION), imported to build/traffic-light"; \
	  rm -rf build/traffic-light && \
	  $(BIN)/khs import "$(SOLUTION)" -o build/traffic-light --programs images/traffic-light/solution && \
	  $(BIN)/khs run build/traffic-light --console; \
	else \
	  echo "traffic-light: our own; there is no folder '$(SOLUTION)', see images/traffic-light/README.md"; \
	  $(BIN)/khs run traffic-light --console; \
	fi

test: setup ## every test; pytest's summary comes last
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(TESTS)

guests: setup ## fetch guest operating systems from Debian into the build cache
	$(BIN)/python -m scripts.fetch_guests

test-os: setup ## the tests of guest operating systems on boards
	KHS_TEST_OS=1 $(BIN)/python -m pytest tests/guest_os

lint: setup ## ruff, its format too, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: setup ## every fuzzer for SECONDS with a seed, SEED; FUZZERS="guests core" for some
	$(BIN)/python scripts/fuzz.py $(FUZZERS) --seconds $(SECONDS) --seed $(SEED)

bench: setup ## measure against bare Unicorn
	$(BIN)/khs bench

wheel: setup ## the installable package, dist/khs-*.whl
	$(BIN)/python -m build --wheel --no-isolation

libkss: setup ## the policy VM for other kernels: kss.h, libkss.a and libkss.so in build/libkss
	$(BIN)/python scripts/build_native.py --libkss build/libkss

clean: ## remove what was built; .venv stays
	rm -rf build dist *.egg-info khs/_lib khs/_data monitor/kss/_lib .pytest_cache .mypy_cache .ruff_cache
	find khs monitor tests -name __pycache__ -type d -exec rm -rf {} +
