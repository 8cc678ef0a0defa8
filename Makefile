# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3
VENV ?= .venv
SLOW ?=
PYTEST_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.mmgmp-installed
CONSTRAINTS ?= constraints/tested.txt
# Small tensors: more threads only compete with the other test process.
export OMP_NUM_THREADS ?= 1

.PHONY: help venv docs-venv test coverage lint doctest wheel-check docs demo bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make venv         install into $(VENV) (a few minutes, once)'
	@echo 'make demo         train and test on the synthetic mini-HAC'
	@echo 'make test         run the tests; SLOW=1 adds the slow ones'
	@echo 'make coverage     the same, and how much of the package they reach'
	@echo 'make lint         ruff, codespell, mypy'
	@echo 'make doctest      run the examples of the docstrings'
	@echo 'make wheel-check  build sdist and wheel, use them elsewhere'
	@echo 'make docs         build the site into build/site'
	@echo 'make bench        measure the cost of a training step'

$(STAMP): setup.py mmgmp/version.py $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	  "mmgmp needs Python >= 3.10, got " + sys.version.split()[0] + \
	  "; run make PYTHON=/path/to/a/newer/python3")'
	$(PYTHON) -m venv $(VENV)
	@# torch first: an open range may pull gigabytes of CUDA libraries.
	$(BIN)/python -m pip install -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e '.[lite,tests,dev]'
	@touch $@

venv: $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q \
	  $(if $(SLOW),,-m 'not slow') $(PYTEST_ARGS)

# Fails below the floor of pyproject.toml.
coverage: $(STAMP)
	$(MAKE) --no-print-directory test PYTEST_ARGS='--cov --cov-report=term $(PYTEST_ARGS)'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

doctest: $(STAMP)
	$(BIN)/python -m pytest -q --doctest-modules mmgmp

wheel-check: $(STAMP)
	$(BIN)/python .ci/check_wheel.py

DOCS_STAMP := $(VENV)/.mmgmp-docs-installed
$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e '.[lite,docs]'
	@touch $@

docs-venv: $(DOCS_STAMP)

docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/site
	@echo 'build/site/docs/index.html'

demo: $(STAMP)
	$(BIN)/python demo/run_demo.py

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
