# make train: install, train a selector on the embedded default, print the table, export the student
# make test: install, run the tests        make checks: lint and types

PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test checks clean

train: .venv/installed
	$(BIN)/python scripts/train_agent.py

test: .venv/installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

checks: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv dist runs
