# Two commands, each of which works alone and first on a machine with Python 3.11 and make:
#
#     make book    build the book, executing its notebooks: _build/html/index.html
#     make test    lint, types, unit and parity tests, and the notebooks' checked outputs
#
# Both create .venv on the first run and touch it again only when the pins change. `make help` lists everything.

VENV         ?= .venv
PYTHON       ?= $(shell command -v python3.11 || command -v python3 || command -v python)
PYTEST_FLAGS ?= -n 2 --dist loadfile
# Options of every pip call, e.g. make book PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_FLAGS    ?=

PY  := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet $(PIP_FLAGS)
# What an environment was made from: when one of these changes, the next run installs again.
PINS := pyproject.toml constraints.txt requirements-peers.txt

# Two processes share the machine's cores while testing; more threads than cores only slow each other down.
test nbval results: export OMP_NUM_THREADS ?= 1
# Notebooks run on the environment's own kernel, not on one that the user has registered.
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := help
.PHONY: help book test lint unit nbval peers results lock clean distclean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

book: $(VENV)/.book-installed ## build the book (executes the notebooks that changed), print where it is
	@$(PY) book/build.py

test: lint unit nbval ## ruff, mypy, unit and parity tests, the notebooks' checked outputs

lint: $(VENV)/.test-installed ## ruff and mypy
	@echo "==> ruff, mypy"
	@$(PY) -m ruff check .
	@$(PY) -m mypy

unit: $(VENV)/.test-installed ## unit and parity tests (PYTEST_FLAGS="-k media" to choose)
	@echo "==> unit and parity tests"
	@$(PY) -m pytest tests $(PYTEST_FLAGS)

nbval: $(VENV)/.test-installed ## run the notebooks and compare the outputs of their checked cells
	@echo "==> notebooks (nbval)"
	@$(PY) -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 300 -n 2 --dist loadscope book

# The chapters' numbers from real corpora. TFG_DATA: the corpora; TFG_PREPARED: what `tfg prepare` made of them;
# TFG_VARIANTS: the runs of the ablation variants. NAMES="fig1 fig5" chooses, FORCE=--force measures again.
results: $(VENV)/.book-installed ## measure the numbers in book/results (needs corpora; keeps what is up to date)
	@$(PY) book/make_results.py $(NAMES) $(FORCE)

peers: $(VENV)/.test-installed ## install what the parity tests compare with (part of `make test`)

lock: $(VENV)/.test-installed ## write constraints.txt from what .venv holds now
	@$(PY) .ci/lock.py

clean: ## remove what was built (_build, caches); keeps .venv
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean ## also remove .venv
	rm -rf $(VENV)

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed; found '$(PYTHON)'. Name one: make book PYTHON=/path/to/python3.11"; exit 1; }
	@echo "==> creating $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

$(VENV)/.book-installed: $(PINS) | $(VENV)/bin/python
	@echo "==> installing tfg and the book's tools into $(VENV) (a few minutes the first time)"
	@$(PIP) --constraint constraints.txt --editable ".[book]"
	@touch $@

$(VENV)/.test-installed: $(PINS) | $(VENV)/bin/python
	@echo "==> installing tfg, the book's and the tests' tools into $(VENV) (a few minutes the first time)"
	@$(PIP) --constraint constraints.txt --editable ".[book,test,peers]"
	@$(PIP) --no-deps --requirement requirements-peers.txt
	@touch $@ $(VENV)/.book-installed
