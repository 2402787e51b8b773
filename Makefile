# One target per check, the same here and in continuous integration (.ci/run). `make help` lists them.
#
# A fresh clone needs Python 3.11 or newer and Rust 1.85 or newer, nothing else: each target makes the virtual
# environment that it needs and installs into that. Stamp files in it tell what is done. The native module is built in
# place (python/plait/_native*.so) and the package is used from the tree, so a change of Python alone builds nothing.

VENV ?= .venv
# Empty: scripts/find-python chooses.
PYTHON ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
MATURIN := VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin

RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml $(wildcard Cargo.lock) pyproject.toml

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := bash
.PHONY: help build demo test test-core test-python test-free-threaded cpython-quick cpython-tests cpython-tests-here \
        loom miri bench check-types lint lint-if-present clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PYTHON=/path/to/python chooses the interpreter, VENV=directory the virtual environment."

# --- what is built and installed

$(VENV)/.made:
	@scripts/check-tools
	@python="$$(scripts/find-python $(PYTHON))" && echo "using $$python" && "$$python" -m venv $(VENV)
	@$(PIP) 'maturin>=1.9,<2'
	@touch $@

$(VENV)/.built: $(VENV)/.made $(RUST_SOURCES)
	@scripts/check-tools
	$(MATURIN) develop --release
	@touch $@

$(VENV)/.has-%: $(VENV)/.made pyproject.toml
	@$(BIN)/python scripts/extra-requirements $* > $@-requirements
	$(PIP) -r $@-requirements
	@touch $@

build: $(VENV)/.built ## build the native module for the tree's own use

# --- what is run

demo: $(VENV)/.built $(VENV)/.has-demo ## the same programs on stock asyncio and on plait, side by side
	$(BIN)/python examples/demo $(DEMO_ARGS)

test: test-core test-python cpython-quick check-types lint-if-present ## every check but the long ones

test-core: ## the Rust engine's own tests
	@scripts/check-tools
	cargo test -p plait-core -p plait-bench

# nest_asyncio as it was before it looked for other loops, beside the one that is installed.
build/nest-asyncio-old: $(VENV)/.made
	@$(PIP) --target $@ nest-asyncio==1.5.6
	@touch $@

# An engine of plait.executor. Where it cannot be had (no network, no wheel for this Python) a line says so, its tests are skipped, and the next run tries again.
$(VENV)/.has-engine-%: $(VENV)/.made pyproject.toml
	@$(BIN)/python scripts/extra-requirements $* > $@-requirements
	@if $(BIN)/python scripts/install-what-can-be $@-requirements; then touch $@; fi

# Dask is small; Ray is not, and is left to `make cluster-tests`.
test-python: $(VENV)/.built $(VENV)/.has-test $(VENV)/.has-bench $(VENV)/.has-engine-dask build/nest-asyncio-old ## the Python tests
	PLAIT_NEST_ASYNCIO_OLD=$(abspath build/nest-asyncio-old) \
	    $(BIN)/python scripts/pytest-steady -q tests --ignore=tests/cpython $(PYTEST_ARGS)

cpython-quick: $(VENV)/.built ## a part of the interpreter's own tests of asyncio, threading and queue
	$(BIN)/python tests/cpython/run.py --quick

cpython-tests: ## the interpreter's own tests in full, on every Python 3.11 to 3.13 that is found
	@status=0; pythons="$$(scripts/find-python --all)" || exit 1; \
	while read -r version python; do \
	    echo "== Python $$version"; \
	    $(MAKE) --no-print-directory cpython-tests-here VENV=.venv-$$version PYTHON="$$python" </dev/null || status=1; \
	done <<< "$$pythons"; exit $$status

cpython-tests-here: $(VENV)/.built
	$(BIN)/python tests/cpython/run.py

test-free-threaded: ## the tests without the GIL, on a free-threaded Python 3.13 (PYTHON_FT=path)
	@scripts/free-threaded

loom: ## every interleaving of small programs over the engine's inbox, locks and primitives (a minute, and two to build)
	@scripts/check-tools
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p plait-core --release --lib loom

# Miri runs the tests in an interpreter that notices undefined behaviour. It comes with a nightly Rust only. It knows no
# epoll_pwait2 and few socket calls, so the rooms that are made of them are left out; so are the timers, all safe code under
# large crowds. What remains has shorter rounds (cfg(miri)). proptest looks at the directory that it runs in, hence no isolation;
# rustix makes pointers of numbers, hence permissive.
MIRI_ARGS ?= --skip reactor:: --skip net::socket:: --skip net::write_buffer:: --skip timers::
miri: ## the engine's own tests, watched for undefined behaviour (some minutes; a nightly Rust with Miri)
	@cargo +nightly miri --version >/dev/null 2>&1 || { echo "There is no nightly Rust with Miri here:" \
	    "rustup toolchain install nightly --profile minimal --component miri,rust-src" >&2; exit 1; }
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance" CARGO_TARGET_DIR=target/miri \
	    cargo +nightly miri test -p plait-core --lib -- $(MIRI_ARGS)

# A stable Rust does: the coverage that guides libFuzzer is an ordinary pass of the compiler, only the sanitizers want a
# nightly, and the engine denies unsafe code, so they would have little to look for. The version of cargo-fuzz is the last
# that the oldest supported Rust builds. What is learned stays in build/fuzz, beside a few scripts in fuzz/corpus to begin with; what
# is found in fuzz/artifacts, which `make clean` leaves alone. The target tls is a program of its own (tests/stress/fuzz_tls): what
# it drives lives over Python's ssl module.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= stream timers addresses datagrams tls
CARGO_FUZZ := build/tools/cargo-fuzz-0.13.1/bin/cargo-fuzz

$(CARGO_FUZZ):
	@scripts/check-tools
	cargo install --locked --root build/tools/cargo-fuzz-0.13.1 cargo-fuzz@0.13.1

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) $(VENV)/.built ## engine and TLS under made-up scripts, each target FUZZ_SECONDS=600 long (FUZZ_TARGETS='stream tls')
	@command -v $${CXX:-c++} >/dev/null || { echo "libFuzzer is C++, and there is no C++ compiler (c++)." \
	    "On Debian and Ubuntu: apt install g++" >&2; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
	    echo "== $$target, $(FUZZ_SECONDS) seconds"; \
	    if [ $$target = tls ]; then $(BIN)/python tests/stress/fuzz_tls --seconds $(FUZZ_SECONDS) || exit 1; continue; fi; \
	    mkdir -p build/fuzz/$$target && \
	    $(CARGO_FUZZ) run --sanitizer none --target-dir target/fuzz $$target build/fuzz/$$target fuzz/corpus/$$target \
	        -- -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

# Measures the wheel that users get (the profile dist), installed away from the tree. BENCH_ARGS=--quick for a first look.
bench: ## plait against asyncio, uvloop and rloop: a table, build/bench/results.json and index.html (BENCH_ARGS=...)
	@$(MAKE) --no-print-directory VENV=.venv-bench PYTHON="$(PYTHON)" .venv-bench/.has-bench
	.venv-bench/bin/maturin build --profile dist -i .venv-bench/bin/python -o build/wheels
	.venv-bench/bin/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps --no-index -f build/wheels plait
	@mkdir -p build/bench
	.venv-bench/bin/plait bench --json build/bench/results.json --html build/bench/index.html $(BENCH_ARGS)

# Ray alone is some hundreds of megabytes, and its session takes a gigabyte of memory while it runs: too much for every `make test`.
.PHONY: cluster-tests
cluster-tests: $(VENV)/.built $(VENV)/.has-test $(VENV)/.has-engine-dask $(VENV)/.has-engine-ray ## plait.executor on all engines, on a real Dask cluster and a real Ray session (two minutes, and the downloads)
	$(BIN)/python scripts/pytest-steady -q -rs tests/executor $(PYTEST_ARGS)

SOAK_ARGS ?=
.PHONY: soak
soak: $(VENV)/.built ## a million TCP connections and 100,000 over TLS, and nothing left of them (SOAK_ARGS='--tcp 20000 --tls 2000')
	$(BIN)/python tests/stress/soak $(SOAK_ARGS)

.PHONY: aiofiles-tests
aiofiles-tests: $(VENV)/.built ## aiofiles' own tests, with plait.fs in its place
	$(BIN)/python tests/fs/own_tests.py

# Servers come from the system (apt-get install postgresql redis-server wrk); what is missing is named and left out.
# ECOSYSTEM=full runs the packages' own test suites too; ECOSYSTEM_ARGS='asyncpg --side plait-run' a part.
ECOSYSTEM ?= quick
ECOSYSTEM_ARGS ?=
.PHONY: ecosystem ecosystem-here
ecosystem: ## real packages against real servers, on plait and on stock asyncio: a table, docs/ecosystem.md (ECOSYSTEM=full)
	@$(MAKE) --no-print-directory VENV=.venv-ecosystem PYTHON="$(PYTHON)" ecosystem-here

ecosystem-here: $(VENV)/.built $(VENV)/.has-ecosystem-packages $(if $(filter full,$(ECOSYSTEM)),$(VENV)/.has-ecosystem-own-tests)
	$(BIN)/python tests/ecosystem/job $(if $(filter full,$(ECOSYSTEM)),--full) $(ECOSYSTEM_ARGS)

# Not extras of plait's: nobody who installs plait is to be offered them.
# What cannot be had is named, and the job leaves it out; the next run tries again.
$(VENV)/.has-ecosystem-packages: tests/ecosystem/requirements.txt $(VENV)/.made
	@if $(BIN)/python scripts/install-what-can-be $<; then touch $@; fi

$(VENV)/.has-ecosystem-own-tests: tests/ecosystem/requirements-own-tests.txt $(VENV)/.made
	@if $(BIN)/python scripts/install-what-can-be $<; then touch $@; fi

check-types: $(VENV)/.built $(VENV)/.has-test $(VENV)/.has-bench ## mypy on the package, and the native module against its stubs
	$(BIN)/python -m mypy --strict python/plait
	$(BIN)/python -m mypy.stubtest plait._native --allowlist tests/faces/stubtest-allowlist.txt --ignore-unused-allowlist

lint: $(VENV)/.made ## rustfmt and clippy
	cargo fmt --all --check
	PYO3_PYTHON=$(abspath $(BIN)/python) cargo clippy --workspace --all-targets -- -D warnings

lint-if-present:
	@if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then \
	    $(MAKE) --no-print-directory lint; \
	else \
	    echo "lint left out: rustfmt or clippy is not installed (rustup component add rustfmt clippy)"; \
	fi

clean: ## remove all that was built or installed here
	rm -rf target build .venv .venv-* .pytest_cache .mypy_cache .hypothesis .coverage python/plait/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
