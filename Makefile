# make train: install, train a selector on the embedded default, print the table, export the student
# make test: install, run the tests
# make checks: lint, types, and links of the docs
# make docs: the docs as a site, in site/

PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test checks docs clean

train: .venv/installed
	$(BIN)/python scripts/train_agent.py

test: .venv/installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

checks: docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv dist runs site
