# `make` lists what there is. Everything runs in .venv, which is made on first use.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup doctor repro pull gc test gold long lint types bench bench-peers bench-evaluation pictures system clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/installed ## make .venv and install the project in the versions of constraints.txt

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

system: ## check for the system packages
	@command -v bwrap >/dev/null || { echo "bubblewrap is missing (it isolates model-written programs): sudo apt-get install bubblewrap"; exit 1; }

doctor: setup ## see whether this machine and this project have what a run takes, and how to mend what they lack
	@python -m tasks.doctor

repro: system setup ## run the whole experiment of params.yaml and print the leaderboard
	@test -d .git || git init --quiet
	@test -d .dvc || dvc init --quiet
	@python -m tasks.repro

pull: system setup ## bring back this commit's checkpoints and results from DVC's remote, compute what it lacks
	@python -m tasks.restore
	@python -m tasks.repro

gc: setup ## free what can be computed again and what nothing names: old merged models, task vectors
	python -m tasks.gc

# One thread each, or workers would wait for one another; four on two cores, as many tests wait for servers.
test: system setup ## run the tests
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 4 --dist loadfile

gold: system setup ## score every published answer of the real benchmarks, which takes many minutes
	python -m pytest -m gold

long: system setup ## run the long tests: thirty nights in which everything goes wrong, outages, shared caches
	python -m pytest -m long

lint: setup ## check style and formatting
	ruff check .
	ruff format --check .

types: setup ## check types
	mypy

bench: setup ## measure speed and memory, write docs/performance.md
	python -m benchmarks.merge

bench-peers: setup ## measure merges beside mergekit in its own environment
	python -m benchmarks.peers

bench-evaluation: setup ## measure evaluations beside lm-eval's own command line
	python -m benchmarks.evaluation

pictures: system setup ## make the pictures of the docs anew, from a few nights of the zoo in .cache/pictures
	python -m docs.picturing .cache/pictures

clean: ## remove the environment and caches, keep results
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache
