# Each target creates the environment it needs, so `make demo` and `make test` work on a fresh
# checkout. PYTHON is the interpreter for new environments, e.g. `make test PYTHON=python3.12`.
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

VENV := .venv
VENV_OLDEST := .venv-oldest
VENV_INTEGRATIONS := .venv-integrations
PY := $(VENV)/bin/python

# Tests run in one process per core, at most 4; in the process of pytest itself with WORKERS=0.
WORKERS ?= auto
PYTEST := -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-fast test-integrations torture judge-local test-oldest lint format clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | awk '{n = $$1; $$1 = ""; printf "%-19s%s\n", n, $$0}'

demo: $(VENV)/installed ## run the demo: MovieLens in full, and two more domains
	$(PY) demo/run.py

benchmark-quality: $(VENV)/installed ## compare with other recommenders and judges; half an hour
	$(PY) -m pip install --quiet --editable '.[benchmarks]'
	$(PY) benchmarks/quality/quality.py

benchmark-speed: $(VENV)/installed ## compare time and memory with other recommenders; an hour
	$(PY) -m pip install --quiet --editable '.[benchmarks]'
	$(PY) benchmarks/speed/speed.py

test: $(VENV)/installed ## run the doctests and the tests
	$(PY) $(PYTEST) --doctest-modules sklearn_selreg
	$(PY) $(PYTEST)

test-fast: $(VENV)/installed ## run all but the slow tests
	$(PY) $(PYTEST) -m "not slow"

torture: $(VENV)/installed ## kill, stop and starve judging processes, and count requests; 15 minutes
	$(PY) tests/judges/torture.py
	$(PY) tests/judges/faults.py

judge-local: $(VENV)/installed ## query a local model whose server is killed half way; 15 minutes
	$(PY) benchmarks/judging/local_models.py

test-oldest: $(VENV_OLDEST)/installed ## run doctests and tests on the oldest dependencies (PYTHON 3.10 or 3.11)
	$(VENV_OLDEST)/bin/python $(PYTEST) --doctest-modules sklearn_selreg
	$(VENV_OLDEST)/bin/python $(PYTEST)

test-integrations: $(VENV_INTEGRATIONS)/installed ## test with the latest mlflow, skops, skore and others
	$(VENV_INTEGRATIONS)/bin/python -m pytest tests/integrations

docs: $(VENV)/installed ## build the documentation: run its code, check its links; 4 minutes
	@echo 'Building docs/_build/html. All pages and examples are executed, which takes about 4 minutes of CPU time.'
	$(PY) -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	$(PY) docs/check_site.py docs/_build/html

lint: $(VENV)/installed ## check style, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/installed ## fix style and format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove environments, builds and caches
	rm -rf $(VENV) $(VENV_OLDEST) $(VENV_INTEGRATIONS) .venv-llama build dist docs/_build docs/generated *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. The stamp is written last, so its presence implies a complete environment. It names
# the Python and the checkout of the environment.
IDENTITY := import sys; print(*sys.version_info[:3], sys.base_prefix)
# The interpreter behind PYTHON, as the active virtual environment may be the one to recreate.
BASE_PYTHON := $(shell $(PYTHON) -c 'import sys; print(sys._base_executable)')
STAMP := $(shell $(PYTHON) -c '$(IDENTITY)') $(CURDIR)

# $(call unless-usable,ENVIRONMENT) is FORCE if the stamp differs, if the environment's Python does
# not run or differs, or if the package is not installed in it.
unless-usable = $(shell exec 2>/dev/null; \
	[ "$$(cat $1/installed)" = '$(STAMP)' ] && \
	[ "$$($1/bin/python -I -c '$(IDENTITY)') $(CURDIR)" = '$(STAMP)' ] && \
	$1/bin/python -I -c 'import importlib.metadata as m; m.version("sklearn_selreg")' || \
	echo FORCE)

$(VENV)/installed: EXTRAS := dev
$(VENV)/installed: $(call unless-usable,$(VENV))

$(VENV_OLDEST)/installed: EXTRAS := test
$(VENV_OLDEST)/installed: CONSTRAINTS := --constraint requirements-oldest.txt
$(VENV_OLDEST)/installed: requirements-oldest.txt $(call unless-usable,$(VENV_OLDEST))

$(VENV_INTEGRATIONS)/installed: EXTRAS := integrations
$(VENV_INTEGRATIONS)/installed: $(call unless-usable,$(VENV_INTEGRATIONS))

%/installed: pyproject.toml setup.py
	$(if $(BASE_PYTHON),,$(error "$(PYTHON)" does not run. Pass a Python >= 3.10, e.g. make PYTHON=python3.11))
	@$(BASE_PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit(f"Python >= 3.10 is required, but $(PYTHON) is {sys.version}. Pass another one, e.g. make PYTHON=python3.11")'
	rm -rf $*
	$(BASE_PYTHON) -m venv $*
	$*/bin/python -m pip install --prefer-binary $(CONSTRAINTS) --editable '.[$(EXTRAS)]'
	@echo '$(STAMP)' > $@
