# Everything a fresh clone needs: make demo, make test. Python 3.11 or newer and git are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all lint bench parity clean
.DEFAULT_GOAL := demo

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "stroma needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Fetching PyTorch, NumPy, scikit-learn, Pillow, h5py, Click, Rich and Jinja2 into $(VENV)"
	@echo "(about 300 MB with PyTorch's CPU build; several GB on Linux where pip picks the CUDA build: see README, Install)."
	$(PIP) -e '.[jpeg,parquet]'
	@touch $@

$(VENV)/.test-installed: $(VENV)/.installed
	@echo "Fetching the test extras: pytest, hypothesis, Keras (the oracle), playwright (about 60 MB)."
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.lint-installed: $(VENV)/.installed
	$(PIP) -e '.[lint]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/stroma demo

# Chromium is needed by the report's browser test. CI installs it; elsewhere that test is skipped and says so.
# A process a core, each with one thread: faster than one process with every core.
test: $(VENV)/.test-installed
	@if [ -n "$$CI" ] && ! command -v chromium >/dev/null 2>&1; then apt-get update -qq && apt-get install -y -qq chromium >/dev/null; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-all: $(VENV)/.test-installed
	$(BIN)/python -m pytest -m "slow or not slow"

lint: $(VENV)/.lint-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

parity: $(VENV)/.test-installed
	$(BIN)/python docs/make_parity.py

bench: $(VENV)/.test-installed
	$(BIN)/python bench/run.py

clean:
	rm -rf $(VENV) dist build
