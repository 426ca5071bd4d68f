# Lightwell: `make demo` runs the platform, `make test` runs every test; each sets up all it needs.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= lightwell-data
ONLY ?=

.PHONY: setup demo test check bench lock clean

setup: .venv/run.done

.venv/run.done: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Lightwell needs Python 3.11 or later; set PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what Lightwell runs on (a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "Compiling what ranks and inspects (half a minute the first time)"
	@$(BIN)/python -m lightwell.apps.compiling
	@touch $@

.venv/dev.done: requirements/dev.lock .venv/run.done
	@echo "Installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

demo: setup
	@tools/system.sh bwrap || true
	@$(BIN)/lightwell demo --data $(DATA)

test: .venv/dev.done
	@tools/system.sh bwrap chromium postgres golang nats ip softhsm || true
	$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder $(ARGS)

check: .venv/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/python -m tools.checks

bench: .venv/dev.done
	@tools/system.sh bwrap chromium || true
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

# Resolve again; the locks hold versions and hashes, never the address of an index.
lock: .venv/dev.done
	for set in run dev bench-peers; do $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --override requirements/override.txt requirements/$$set.in -o requirements/$$set.lock; done

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
