# `make` alone prints what there is: the headings after ##@, and of each target the words after ##.
# Needed are git, make and one of Python 3.11 to 3.13. `make demo` and `make test` set up .venv.

.DEFAULT_GOAL := help

# The newest of these for which a virtual environment can be made is taken; a shim that does not run is none.
PYTHON := python3.13 python3.12 python3.11
UV := uv==0.13.8
TORCH_CPU := https://download.pytorch.org/whl/cpu/torch/
LOCK := .venv/bin/uv pip compile --quiet --python-version 3.11 --python-platform linux \
	--annotation-style line --custom-compile-command "make lock"

# What dvc.yaml and the Snakefile call is what .venv holds, whether or not it is activated.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test test-pythons metaworld benchmark bench bench-scale bench-gpu lock kills fuzz mutants
.PHONY: schema reference pictures image image-archive sbom pin-base test-image

##@ Start here

help: ## print this
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Without a GPU, TORCH=cpu spares gigabytes at set-up: make demo TORCH=cpu"

demo: .venv/installed ## train the small grid, write reports/demo/index.html
	@.venv/bin/snakemake --cores all demo
	@echo "The report: reports/demo/index.html"

benchmark: .venv/installed ## bring results/benchmark and its report up to date (days)
	@.venv/bin/snakemake --cores all
	@echo "The report: reports/benchmark/index.html"

test: .venv/installed-dev ## run every test
	@.venv/bin/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

METAWORLD := oyster/envs/metaworld/requirements

metaworld: .venv-metaworld/installed ## install what the families ml1-* need beside the engine

.venv-metaworld/installed: $(METAWORLD).txt | .venv/installed
	.venv/bin/python -m venv --clear .venv-metaworld
	.venv-metaworld/bin/pip install --quiet --requirement $<
	@touch $@

##@ Measure

bench: .venv/installed ## time the engine on one CPU thread
	@.venv/bin/python -m benchmarks.gradient_step
	@.venv/bin/python -m benchmarks.rollouts
	@.venv/bin/python -m benchmarks.scaling

TRIALS := 1000

bench-scale: .venv/installed ## time the pipeline at TRIALS=1000 fast trials (hours)
	@.venv/bin/python -m benchmarks.scale --trials $(TRIALS)

bench-gpu: .venv/installed ## time the engine on a GPU
	@.venv/bin/python -m benchmarks.gradient_step --device cuda
	@.venv/bin/python -m benchmarks.scaling --device cuda
	@.venv/bin/python -m benchmarks.shared_gpu

##@ Try to break it

PYTHONS = $(foreach version,3.11 3.12 3.13,$(shell python$(version) -c 'print("$(version)")' 2>/dev/null))

test-pythons: .venv/installed-dev ## a tiny trial's bytes under Python 3.11 to 3.13
	@for version in $(PYTHONS); do \
		test -f .venv-$$version/installed || $(MAKE) --no-print-directory .venv-$$version/installed || exit 1; \
	done
	@OYSTER_TEST_PYTHONS="$(PYTHONS:%=.venv-%/bin/python)" .venv/bin/python -m pytest tests/test_interpreters.py

.venv-%/installed: requirements.txt
	python$* -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --requirement requirements.txt
	@touch $@

KILLS := 300
TRIES := 2000

kills: .venv/installed-dev ## kill tiny trials KILLS=300 times: each ends with the same bytes
	@.venv/bin/python -m tests.faults.kills --kills $(KILLS)

fuzz: .venv/installed-dev ## spoil files TRIES=2000 times: each is told in a sentence
	@.venv/bin/python -m tests.faults.fuzz_params --tries $(TRIES) --commands 100
	@.venv/bin/python -m tests.faults.fuzz_results --tries $(TRIES)
	@.venv/bin/python -m tests.faults.fuzz_records --tries $(TRIES) --commands 100

mutants: .venv/installed-dev ## do the tests notice a wrong module? MODULE=name for one
	@.venv/bin/python -m tests.mutants $(MODULE)

##@ The container image

VARIANT := cuda

image: .venv/installed ## build it, VARIANT=cuda or cpu
	@.venv/bin/python docker/image.py --variant $(VARIANT)

image-archive: .venv/installed ## build it as a tar with its SHA-256
	@.venv/bin/python docker/image.py --variant $(VARIANT) --archive

sbom: .venv/installed-dev ## write its bill of materials
	@.venv/bin/python docker/image.py --variant $(VARIANT) --bill

pin-base: .venv/installed ## write its base's present digest into docker/Dockerfile
	@.venv/bin/python docker/image.py --pin-base

test-image: .venv/installed-dev ## build the CPU image and run trials in it
	@OYSTER_TEST_IMAGE=$${OYSTER_TEST_IMAGE:-1} .venv/bin/python -m pytest tests/image $(if $(ONLY),-k $(ONLY))

# --- what the targets need --------------------------------------------------------------------------------------------

# pip takes torch's CPU build where it can find one; elsewhere uv knows where PyTorch keeps it.
.venv/installed: requirements.txt pyproject.toml
	@test -z "$(TORCH)" -o "$(TORCH)" = cpu || { echo "TORCH=$(TORCH): only TORCH=cpu is known."; exit 1; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || for python in $(PYTHON); do \
		rm -rf .venv; \
		if $$python -m venv .venv >/dev/null 2>&1; then echo "$$python: .venv is made with it"; exit 0; fi; \
		echo "$$python: skipped, it can make no virtual environment here"; \
	done
	@test -x .venv/bin/pip || { rm -rf .venv; \
		echo "None of $(PYTHON) can make a virtual environment; oyster needs one of Python 3.11 to 3.13."; exit 1; }
ifeq ($(TORCH),cpu)
	torch=$$(grep -o '^torch==[^ ]*' requirements.txt); \
	.venv/bin/pip install --quiet --no-deps "$$torch+cpu" 2>/dev/null || { .venv/bin/pip install --quiet $(UV) && \
	.venv/bin/uv pip install --python .venv --no-deps --torch-backend cpu "$$torch"; }
endif
	.venv/bin/pip install --requirement requirements.txt
	.venv/bin/pip install --quiet --no-deps --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	.venv/bin/pip install --requirement requirements.txt --requirement requirements-dev.txt
	@touch $@

##@ Files that stand in git

GRID := benchmark

pictures: .venv/installed ## draw a task of each environment, from GRID=benchmark
	@preset=$$(.venv/bin/python -c "from oyster.grid import *; print(find_grid(load_params('params.yaml'), '$(GRID)').preset)"); \
	mkdir -p oyster/envs/pictures/$$preset || exit 1; \
	for env in $$(ls results/$(GRID)); do \
		.venv/bin/python -m oyster simulate results/$(GRID)/$$env/mlp/42 --tasks 0 --video --out .pipeline/pictures/$$env && \
		cp .pipeline/pictures/$$env/task-0.png oyster/envs/pictures/$$preset/$$env.png || exit 1; \
	done

schema: .venv/installed ## write params.schema.json, for editors of params.yaml
	@.venv/bin/python -c "from oyster.params import schema; print(schema(), end='')" > params.schema.json

reference: .venv/installed ## write docs/reference/params.md and command-line.md from the code
	@.venv/bin/python docs/generate.py

# Delete the files to upgrade all versions. docker/requirements-*.txt are the same versions with hashes.
# The packages of CUDA are left out: torch's own wheel pins them, where it is one that needs them.
lock: .venv/installed ## write requirements*.txt from pyproject.toml
	.venv/bin/pip install --quiet $(UV)
	$(LOCK) pyproject.toml --output-file requirements.txt >/dev/null
	sed -i.all -E '/^(nvidia-|cuda-|triton=)/d' requirements.txt && rm requirements.txt.all
	$(LOCK) --group dev --constraint requirements.txt --output-file requirements-dev.txt >/dev/null
	$(LOCK) $(METAWORLD).in --output-file $(METAWORLD).txt >/dev/null
	$(LOCK) --no-annotate --generate-hashes --constraint requirements.txt pyproject.toml \
		--output-file docker/requirements-cuda.txt >/dev/null
	grep -o '^torch==[^ ]*' requirements.txt | sed 's/$$/+cpu/' | $(LOCK) --no-annotate --generate-hashes \
		--constraint requirements.txt --override - --find-links $(TORCH_CPU) pyproject.toml \
		--output-file docker/requirements-cpu.txt >/dev/null
