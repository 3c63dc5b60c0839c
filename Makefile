# Everything a person needs to work on Tahona. Nothing but Python 3.11+ and make must be there beforehand.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help setup demo test lowest lint format docs support bench bench-serve lock lock-peers lock-environments clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/'

setup: $(BIN)/tahona  ## make .venv with the command tahona and the development tools

$(BIN)/tahona: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("tahona needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(BIN)/tahona

demo: setup  ## run the breast-cancer example from data to champion
	$(BIN)/tahona run -C examples/breast_cancer

test: setup  ## run the tests
	$(BIN)/python -m pytest --durations=20

lowest: requirements/lowest.txt  ## run the quick tests on the oldest versions that pyproject.toml admits
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --require-hashes -r requirements/lowest.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(VENV)-lowest/bin/python -m pytest -m "not slow"

lint: setup  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_house.py

format: setup  ## let ruff write the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## build the documentation into site/
	$(BIN)/python scripts/write_reference.py
	$(BIN)/mkdocs build --quiet --strict

support: setup  ## compare the example's run on all orchestrators, stores and ledgers; write what came out into the docs
	rm -rf build/support
	TAHONA_SUPPORT=$(CURDIR)/build/support $(BIN)/python -m pytest tests/test_equality.py; code=$$?; \
	    $(BIN)/python scripts/write_support.py build/support && exit $$code

bench: setup  ## print the figures of benchmarks/README.md (hours when the peers have not been measured yet)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/grids.py
	$(BIN)/python benchmarks/naive_optuna_text.py
	$(BIN)/python benchmarks/large_rows.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/budgets.py
	$(BIN)/python benchmarks/peers.py

bench-serve: setup  ## print what a prediction over HTTP costs, beside the peers (benchmarks/README.md)
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/batch.py

lock: setup  ## resolve requirements/*.txt anew (needs uv)
	uv pip compile pyproject.toml --quiet --extra dask --extra mlflow --extra postgres --extra s3 --extra serve --extra text-es --extra xgboost --group dev --group docs --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o requirements/dev.txt
	uv pip compile pyproject.toml --quiet --extra dask --extra mlflow --extra postgres --extra s3 --extra serve --extra text-es --extra xgboost --group test --resolution lowest-direct --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o requirements/lowest.txt

lock-peers: setup  # resolve the pins of benchmarks/peers anew (needs uv)
	for peer in benchmarks/peers/requirements/*.in benchmarks/serving/requirements/*.in; do \
	    uv pip compile $$peer --quiet --python-version 3.11 --no-header --no-annotate -o $${peer%.in}.txt || exit 1; done

lock-environments: setup  # resolve the pins of the programs that live in environments of their own anew (needs uv)
	for each in src/tahona/*/requirements/*.in; do \
	    uv pip compile $$each --quiet --python-version 3.11 --universal --generate-hashes --no-header --no-annotate -o $${each%.in}.txt || exit 1; done

clean:  ## remove what was built, keep .venv
	rm -rf site dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
