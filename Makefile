# `make help` lists the commands. They run in .venv, which `make` keeps up to date with the lock file.

BIN := .venv/bin
TEMPLATES := templates
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
OLDEST := import sys; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: help run install install-dev check test test-quick test-hosts mutants bench flames format lock audit docs screenshots \
  check-code check-types check-layers check-templates check-deploy check-migrations check-lock check-docs

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

run: install  ## Install the dependencies, then run the product until Ctrl-C
	@$(BIN)/python manage.py run

install:
	@$(call bootstrap,)

install-dev:
	@$(call bootstrap,--dev)

test-quick: install-dev  ## Run the unit tests on SQLite, without the slow ones (about 2 minutes)
	@$(BIN)/python -m tests quick

test: install-dev  ## Run all tests on SQLite and, if a server answers, PostgreSQL (14 to 45 minutes)
	@$(BIN)/python -m tests

test-hosts: install-dev  ## Test several hosts with their servers (needs PostgreSQL, HAProxy, pgbouncer, root; about 5 minutes)
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile tests/hosts

mutants: install-dev  ## Break the code on purpose and check that tests notice (SAMPLE=, SEED=, MODULES=, WORKERS=)
	@$(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(WORKERS),--workers $(WORKERS)) $(if $(MODULES),--modules $(MODULES))

bench: install-dev  ## Print the benchmark results, each next to a baseline from the same run
	@$(BIN)/python benchmarks/table.py

flames: install-dev  ## Draw the flame graphs in docs/performance.md again
	@$(BIN)/python benchmarks/flames.py

check: check-code check-types check-layers check-templates check-deploy check-migrations check-lock check-docs audit  ## Run every static check: lint, types, import layers, templates, deployment, migrations, locks, docs, audit

check-code: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: install-dev
	$(BIN)/mypy

check-layers: install-dev
	$(BIN)/lint-imports

check-templates: install-dev
	$(BIN)/djlint --quiet --check $(TEMPLATES)
	$(BIN)/djlint --quiet --lint $(TEMPLATES)

check-deploy: install-dev
	@$(call in_scratch,AIINFRA_HTTPS=1 SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING)

check-migrations: install-dev
	@$(call in_scratch,$(BIN)/python manage.py makemigrations --check --dry-run)

check-lock:
	@if ! command -v uv >/dev/null; then echo "skipped: uv is not installed, so the lock files are not compared"; exit 0; fi; \
	uv lock --check --quiet && for set in requirements requirements-dev; do \
	  $(call export,$$set) | diff -q - $$set.txt >/dev/null || { echo "$$set.txt does not match uv.lock: run make lock"; exit 1; }; \
	done && echo "lock files agree"

check-docs: install-dev
	@$(call in_scratch,$(MKDOCS) --site-dir "$$scratch/site")

audit: install-dev  ## Check the locked packages for known vulnerabilities, if the network allows
	@said=$$($(BIN)/pip-audit --requirement requirements.txt --require-hashes --disable-pip --progress-spinner off --timeout 5 2>&1); \
	case "$$said" in \
	  *"No known vulnerabilities"*) echo "no known vulnerabilities";; \
	  *"known vulnerabilit"*) echo "$$said"; exit 1;; \
	  *) printf '%s\n' "$$said" | tail -n 3 >&2; \
	    echo "SKIPPED: pip-audit could not look up known vulnerabilities. NOTHING was checked." >&2;; \
	esac

docs: install-dev  ## Build the documentation site into site/; open site/index.html, no server or network needed
	@$(MKDOCS)

screenshots: install-dev  ## Retake the screenshots in the docs from a fresh demo (needs Chromium; about 3 minutes)
	@$(BIN)/python -m tests.screenshots

format: install-dev  ## Format the code and the templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint --quiet --reformat $(TEMPLATES)

lock:  ## Update the lock files after a dependency change (needs uv)
	uv lock
	@for set in requirements requirements-dev; do $(call export,$$set) > $$set.txt; done

# The first Python on PATH that is new enough creates the environment.
define bootstrap
for python in python3 python3.14 python3.13 python3.12 python3.11; do \
  if $$python -c '$(OLDEST)' 2>/dev/null; then exec $$python aiinfra/stack/bootstrap.py $(1); fi; \
done; echo "Python 3.11 or later is needed, and none is on PATH." >&2; exit 1
endef

# Settings write secrets to the data directory, so checks use a temporary one.
define in_scratch
scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; export AIINFRA_DATA_DIR="$$scratch"; $(1)
endef

define export
uv export --frozen --quiet --no-header $$(test $(1) = requirements && echo --no-dev)
endef
