# modeldb. Every target works from any folder (make -C PATH demo), as root and as an ordinary user.
# ARGS is handed to the command that the target runs: make test ARGS='-k promote -x'

SHELL := /bin/bash
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
EXTRAS := test
ARGS :=

# Leaves bin, the folder of the environment's programs, in the shell. What the tools cache is kept in the environment,
# so that root and another user can work in the same clone.
ENV = set -euo pipefail; cd "$(ROOT)"; docker/setup.sh system; \
    python=$$(docker/setup.sh env "$(EXTRAS)"); bin=$${python%/*}; cache=$${bin%/*}/cache; \
    export RUFF_CACHE_DIR="$$cache/ruff" MYPY_CACHE_DIR="$$cache/mypy" PYTHONPYCACHEPREFIX="$$cache/pycache" \
        HYPOTHESIS_STORAGE_DIRECTORY="$$cache/hypothesis"

.DEFAULT_GOAL := help
.PHONY: help env demo up down psql test test-docker bench lint delete clean

help: ## show this help
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' "$(ROOT)/Makefile" | \
	    while IFS='|' read -r target purpose; do printf '  make %-12s %s\n' "$$target" "$$purpose"; done

env: ## make the environment, and print the path of its Python as the last line (make -s -C PATH env)
	@$(ENV); echo "$$python"

demo: ## from nothing to predictions in SQL, on a private PostgreSQL
	@$(ENV); "$$bin/modeldb" demo $(ARGS)

up: ## start the private PostgreSQL
	@$(ENV); "$$bin/modeldb" up $(ARGS)

down: ## stop the private PostgreSQL
	@$(ENV); "$$bin/modeldb" down $(ARGS)

psql: ## open psql on the private PostgreSQL
	@$(ENV); "$$bin/modeldb" psql $(ARGS)

test: ## run the test suite by two processes, each on a PostgreSQL of its own that is thrown away
	@$(ENV); "$$bin/pytest" -n 2 --dist loadfile -o cache_dir="$$cache/pytest" $(ARGS)

test-docker: ## run tests/sql against the docker image
	@$(ENV); docker/base-image.sh --if-missing; MODELDB_TEST_PROVIDER=docker "$$bin/pytest" -o cache_dir="$$cache/pytest" tests/sql $(ARGS)

bench: ## run the benchmarks in turn
	@$(ENV); for benchmark in benchmarks/*.py; do echo "== $$benchmark"; "$$python" "$$benchmark" $(ARGS); done

lint: ## check style and types
	@$(ENV); "$$bin/ruff" check; "$$bin/ruff" format --check; "$$bin/mypy"

delete: ## stop the private PostgreSQL and delete it with all its data
	@$(ENV); "$$bin/modeldb" down --delete $(ARGS)

clean: ## delete this clone's environment
	@"$(ROOT)/docker/setup.sh" clean
