# make demo    narrate a simulated recording; the last line names the report
# make test    lint, types and tests
# Both set up .venv first. They need Python 3.11 or newer, make, and a network for pip (the first time only).

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BASELINES := $(VENV)/.baselines

# The first of these that runs, is new enough and can make an environment; failing that, the first new enough.
CANDIDATES := python3.13 python3.12 python3.11 python3
PYTHON ?= $(shell for needs in ensurepip sys; do for python in $(CANDIDATES); do \
  $$python -c "import sys, $$needs; assert sys.version_info >= (3, 11)" 2>/dev/null && echo $$python && exit; \
  done; done)

.PHONY: demo test lint bench clean

demo: $(STAMP)
	@mkdir -p out
	$(BIN)/neuronarrator simulate out/demo.edf
	$(BIN)/neuronarrator narrate out/demo.edf --out out
	@echo "Report: $(CURDIR)/out/demo.html"

test: lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# Those that take an hour or write a day of EEG are run by name; peak_memory.py is what several of them share.
LONG := benchmarks/classifiers.py benchmarks/confidence.py benchmarks/long_recording.py

bench: $(BASELINES)
	@set -e; for script in $(filter-out $(LONG) benchmarks/peak_memory.py,$(wildcard benchmarks/*.py)); do echo "$$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -f out/demo.*
	find corpus encoders neuronarrator tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again where setup.cfg or constraints.txt changed. An environment made by hand has no stamp: it is kept,
# and brought to the constraints.
$(STAMP): setup.cfg constraints.txt | $(BIN)/python
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "got $$($(BIN)/python --version) in $(VENV), expected 3.11 or newer: remove $(VENV) and run make again" >&2; \
	  exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip || { \
	  echo "got $(VENV) without pip, expected one that can install: remove $(VENV) and run make again" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Benchmarks compare with models of the extra baselines.
$(BASELINES): $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,baselines]'
	@touch $@

$(BIN)/python:
	@python='$(PYTHON)'; \
	if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "got no Python 3.11 or newer (tried $${python:-$(CANDIDATES)}): install one, on Debian or Ubuntu by" \
	    "'apt install python3 python3-venv', or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "got Python $$version without ensurepip, which makes environments: install it, on Debian or Ubuntu by" \
	    "'apt install python$$version-venv', or name another: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	echo "making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV)
