# `make demo` and `make test` are all a new user needs; both make the environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ENVIRONMENT := .venv/.installed

.PHONY: demo test test-all bench bench-folds docs docs-serve lint format hooks lock clean

demo: $(ENVIRONMENT)
	$(BIN)/python -m flows.cv --local

# Two at a time: whole runs one after another, and the rest beside them.
SIDE_BY_SIDE := -n 2 --dist loadscope --no-loadscope-reorder

test: $(ENVIRONMENT)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-all: $(ENVIRONMENT)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m ""

# Minutes each, and only alone on the machine; they write the pages of docs/ that show what they measured.
bench: $(ENVIRONMENT)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m tests.bench

bench-folds: $(ENVIRONMENT)
	$(BIN)/python -m tests.bench.folds

docs: $(ENVIRONMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(ENVIRONMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8000

lint: $(ENVIRONMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy flows tasks timnet

format: $(ENVIRONMENT)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Lint before every commit.
hooks: $(ENVIRONMENT)
	$(BIN)/pre-commit install

# The lock holds names, versions and hashes, and no address of a registry.
lock: $(ENVIRONMENT)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --all-extras --group dev pyproject.toml --output-file requirements.lock

$(ENVIRONMENT): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "timnet needs Python 3.11; $(PYTHON) is $$($(PYTHON) --version). Say make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv build timnet-store *.egg-info
