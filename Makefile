# Every target sets up what it needs, once. Needs python3 (3.11 or newer) and make; nothing is installed outside
# .venv and the user's cache, but for what apt has to bring, where root runs this on a machine that lacks it.

VENV := .venv
BIN := $(VENV)/bin
# Once a run can be made, and once tests and lint can be. Both are made by scripts/setup in one environment.
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

# Where it is set, each process of tests would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# Several processes of tests, which mostly wait. tests/conftest.py says why the signals.
PYTEST := env --block-signal=CHLD,HUP,INT,QUIT,TERM $(BIN)/python -m pytest --dist worksteal
AT_ONCE ?= 5

.NOTPARALLEL:
.PHONY: matrix unit test test-all lint bench fidelity kernel servers field-report clean
.DEFAULT_GOAL := matrix

matrix: $(READY)
	@$(BIN)/halfopen run

# The inner loop: the tests that need no lab, guest, engine, browser or cluster. ONLY="-k frozen", say, for fewer.
unit: $(READY_DEV)
	@$(PYTEST) -n 3 -q -p tests.unit $(ONLY)

# What tests need that no package of Python's brings.
define brought
	@scripts/kernel $(VENV) || echo "make $@: without a guest kernel, the tests that need one are skipped" >&2
	@scripts/packages || :
	@scripts/servers >/dev/null || echo "make $@: without the servers of examples/, the tests that need them are skipped" >&2
endef

test: $(READY_DEV)
	$(brought)
	@$(PYTEST) -n $(AT_ONCE) -m "not alone and not exhaustive"
	@$(PYTEST) -m "alone and not exhaustive"

# The same and the exhaustive runs, of which CONTRIBUTING.md says what smaller ones `make test` has in their place.
test-all: $(READY_DEV)
	$(brought)
	@$(PYTEST) -n $(AT_ONCE) -m "not alone"
	@$(PYTEST) -m alone

lint: $(READY_DEV)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/prose.py

servers:
	@scripts/servers

# Two guests, whatever the machine has: runs that share a guest draw from one sequence of random numbers, and another
# spread gives another report. Exit code 3 means that some cells prove nothing, which the report then says.
field-report: $(READY_DEV)
	@scripts/packages nginx haproxy
	@scripts/servers >/dev/null
	@eval "$$(scripts/servers --environment)" && \
		$(BIN)/halfopen field examples --clock virtual --jobs 2 --seed 7 --out out/field || [ $$? = 3 ]
	@$(BIN)/halfopen field --render out/field/field.json >out/field/report.md
	@mv out/field/report.md docs/field-report.md

kernel: $(READY)
	@scripts/kernel $(VENV)

bench: $(READY_DEV)
	@$(BIN)/python -m benchmarks

fidelity: $(READY_DEV)
	@$(BIN)/python -m benchmarks.fidelity --write

clean:
	rm -rf $(VENV) out .tox .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml scripts/setup scripts/install.py
	@scripts/setup $(VENV)

$(READY_DEV): pyproject.toml scripts/setup scripts/install.py
	@scripts/setup $(VENV) dev
