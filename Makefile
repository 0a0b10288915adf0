PYTHON ?= python3
RECORDS ?= 60
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin

.PHONY: chaos demo demo-ui test unit bench clean

demo: $(VENV)/installed
	$(BIN)/airflow-records demo --records $(RECORDS)

demo-ui: $(VENV)/installed
	$(BIN)/airflow-records demo --ui --records $(RECORDS) --port $(PORT)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q --numprocesses 4 --dist loadfile

# What needs no Airflow processes; for the minutes between two edits.
unit: $(VENV)/installed-test
	$(BIN)/pytest -q --numprocesses 4 --dist loadfile -m "not system"

# What the evidence costs; BENCH_RECORDS=10000 for less.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench_evidence.py

# Kills the processes of a running Airflow, and a disposal at each of its requests; takes half an hour.
chaos: $(VENV)/installed-test
	$(BIN)/pytest -q tests/chaos/test_*.py

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
