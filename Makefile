# Every command of the repository. Each installs what it needs; `make help` lists them.
MAKEFLAGS += --no-print-directory
PORT_BASE ?= 7400
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help install demo up test check unit fmt protos docs rows bench fuzz soak compat prove lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv from the lock; needs Python 3.11 or newer; quick when nothing changed
	@scripts/install

demo: install ## the whole story on a stack of its own: ends with "demo: ok"
	@.venv/bin/weft demo

up: install ## run the stack until Ctrl-C; PORT_BASE=7400 is its first port
	@.venv/bin/weft up --port-base $(PORT_BASE)

test: install ## every test; they start the real components they need
	@.venv/bin/pytest

unit: install ## the tests without I/O
	@.venv/bin/pytest -q tests/unit

check: install ## lint, types, layers, contracts and unit tests: what a change must pass
	@scripts/check

fmt: install ## format Python and protos
	@.venv/bin/ruff check --fix --exit-zero --quiet .
	@.venv/bin/ruff format .
	@.venv/bin/buf format -w protos

protos: install ## generate libs/contracts and docs/openapi.json from protos/
	@$(PY) scripts/protos.py generate
	@$(PY) scripts/openapi.py write

docs: install ## write what docs/ takes from the code anew
	@$(PY) scripts/generated_docs.py write

rows: install ## each requirement with the tests that show it
	@$(PY) scripts/rows.py

bench: install ## measure what docs/performance.md states
	@$(PY) bench/run.py

soak: install ## thousands of mixed runs at once, then the oracle, memory and leftovers; ARGS="--runs 10000 --seed 1"
	@PYTHONPATH=tests $(PY) -m soak $(ARGS)

fuzz: install ## generated REST requests against docs/openapi.json, others each time; REST_EXAMPLES=500 of each kind
	@REST_EXAMPLES=$${REST_EXAMPLES:-500} .venv/bin/pytest -q --override-ini timeout=0 tests/e2e/test_openapi.py

compat: install ## talk to another OpenAI-compatible server; installs it, which takes minutes
	@.venv/bin/pytest -m compat --override-ini timeout=1800 tests/compat

prove: ## demo, test and check in fresh clones: as root and as an ordinary user in a private home
	@scripts/prove

lock: install ## write the locks anew after a change of dependencies; ARGS=--upgrade takes newer versions
	@$(PY) scripts/lock.py $(ARGS)

clean: ## remove what these commands made: .venv, caches, the development data
	@rm -rf .venv .cache .weft .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
