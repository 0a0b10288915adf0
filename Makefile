PYTHON ?= python3
RECORDS ?= 60
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin

.PHONY: bench-workers chaos chromium demo demo-ui distributed docs minors servers test unit bench clean

demo: $(VENV)/installed
	$(BIN)/airflow-records demo --records $(RECORDS)

demo-ui: $(VENV)/installed
	$(BIN)/airflow-records demo --ui --records $(RECORDS) --port $(PORT)

# Everything on the Airflow of constraints.txt, then what touches Airflow on the oldest one.
test: $(VENV)/installed-test chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q --numprocesses 4 --dist loadfile -m "not system"
	$(BIN)/pytest -q --numprocesses 2 --dist loadfile -m system
	$(MAKE) minor-3.1

# What needs no Airflow processes; for the minutes between two edits.
unit: $(VENV)/installed-test
	$(BIN)/pytest -q --numprocesses 4 --dist loadfile -m "not system"

# The documentation, for a browser: site/index.html
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The oldest Airflow of each minor, each in an environment of its own with libraries of its time: the tests of what
# touches Airflow, a night, an approval and its deferral. Left out is what does the same on every minor: evidence,
# reports, the vendors' systems and their hooks import nothing of Airflow that is not tested here; the sandbox, the fault
# matrix, any change, any sequence and a kill at each request test these; pages and packaging are tested on the newest.
# "make minors MINORS=3.1 PYTHON=python3.12" runs one; what ran is written to docs/compatibility.md.
MINORS ?= 3.1 3.2 3.3
THE_SAME := $(wildcard tests/operators/test_any_*.py) tests/operators/test_crash.py tests/operators/test_throttling.py \
	tests/test_bench.py tests/test_docs.py tests/test_wheel.py
OF_AIRFLOW := $(filter-out $(THE_SAME),$(wildcard $(addsuffix /test_*.py,tests tests/client tests/operators \
	tests/plugin tests/sensors tests/task tests/triggers)))
OTHER := -$(notdir $(PYTHON))

minors: $(MINORS:%=minor-%)
	@for minor in $(MINORS); do .venv-$$minor$(OTHER)/bin/python tests/compatibility.py .venv-$$minor$(OTHER)/*.xml; done

.SECONDARY: # an environment is no intermediate file
minor-%: .venv-%$(OTHER)/installed
	$(<D)/bin/pytest -q --numprocesses 2 --dist loadfile -m "not system" --junitxml $(<D)/tests.xml $(OF_AIRFLOW)
	$(<D)/bin/pytest -q tests/system --junitxml $(<D)/system.xml \
	-k "nightly_enaio or comes_late or four_eyes or triggerer_waits or loop"

.venv-%$(OTHER)/installed: pyproject.toml constraints/airflow-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --constraint constraints/airflow-$*.txt --editable '.[test]'
	@touch $@

# An Airflow of many parts on this machine: PostgreSQL, Redis, Celery with two workers, FAB, evidence on S3; see
# tests/distributed. Kills, stops and restarts the parts. Not part of "make test"; about half an hour.
# SCENARIO selects some: make distributed SCENARIO="nightly or killed"
SCENARIO ?=
distributed: .venv-distributed/installed .venv-s3/installed servers
	.venv-distributed/bin/pytest -v --tb=short -k "$(SCENARIO)" tests/distributed

# Verified records a second by 1, 2, 4, 8 mapped tasks over two workers; ten minutes.
bench-workers: .venv-distributed/installed .venv-s3/installed servers
	PYTHONPATH=. .venv-distributed/bin/python benchmarks/bench_workers.py

.venv-distributed/installed: pyproject.toml constraints/distributed.txt
	$(PYTHON) -m venv .venv-distributed
	.venv-distributed/bin/pip install --quiet --constraint constraints/distributed.txt --editable '.[distributed,test]'
	@touch $@

# The server of S3 has libraries of its own.
.venv-s3/installed: constraints/distributed.txt
	$(PYTHON) -m venv .venv-s3
	.venv-s3/bin/pip install --quiet --constraint constraints/distributed.txt 'moto[s3,server]'
	@touch $@

# Debian's PostgreSQL and Redis; their services are not started.
servers:
	@{ command -v redis-server && ls /usr/lib/postgresql/*/bin/initdb; } > /dev/null 2>&1 || \
	{ as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); policy=/usr/sbin/policy-rc.d; \
	[ -e $$policy ] || { printf '#!/bin/sh\nexit 101\n' | $$as_root install -m 755 /dev/stdin $$policy; made=1; }; \
	$$as_root apt-get update --quiet && \
	$$as_root apt-get install --quiet --yes --no-install-recommends postgresql redis-server; installed=$$?; \
	[ -z "$$made" ] || $$as_root rm $$policy; exit $$installed; } || \
	{ echo "The tests need PostgreSQL and Redis; install them as your system does." >&2; exit 1; }

# Airflow's pages are tested in Debian's browser.
chromium:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ as_root=$$([ "$$(id -u)" = 0 ] || echo sudo) && $$as_root apt-get update --quiet && \
	$$as_root apt-get install --quiet --yes --no-install-recommends chromium; } || \
	{ echo "The browser tests need Chromium; install it so that 'chromium' is on PATH." >&2; exit 1; }

# What the evidence costs, and how fast a disposal is; an hour and a half. For less, see the head of each of the two:
# BENCH_RECORDS=10000 BENCH_OBJECTS=2000 BENCH_NIGHT=5000 BENCH_LIST=100000
bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench_evidence.py
	$(BIN)/python benchmarks/bench_speed.py

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
	rm -rf $(VENV) .venv-3.* .venv-distributed .venv-s3 .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist site
