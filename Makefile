# make demo        train the small grid and build reports/demo/index.html, from nothing but Python, git and make
# make test        run every test
# make test-pythons   compare a tiny trial's bytes under each of Python 3.11 to 3.13 that works here
# make benchmark   bring results/benchmark and its report up to date (days on two cores, if everything is stale)
# make bench       time the engine on one CPU thread: benchmarks/results.json; make bench-gpu on a GPU
# make bench-scale  what the pipeline costs at TRIALS (1000) fast trials: hours; TRIALS=100 for minutes
# make kills       kill tiny trials at random moments, KILLS times (300): each must end with the same bytes
# make fuzz        spoil params.yaml and recorded files, TRIES times (2000): each must be a sentence, never a traceback
# make mutants     do the tests notice a wrong module? MODULE=name for one, JOBS at a time (2): tests/mutants.md
# make pictures    draw one task of each environment for the reports, from results with weights (GRID=demo: the demo's)
# make schema      write params.schema.json, from which editors complete params.yaml
# make lock        write requirements*.txt from pyproject.toml, keeping versions that still fit (delete them to upgrade),
#                  and docker/requirements-*.txt, the same versions with hashes
# make image       build the container image (CUDA; VARIANT=cpu for the other) with podman or docker; docs/container.md
# make image-archive, make sbom    the image as a tar with its SHA-256; its bill of materials
# make pin-base    write the present digest of the image's base into docker/Dockerfile
# make test-image  build the CPU image and run trials in it, where podman and mmdebstrap are installed; the CUDA image, on
#                  the CPU, with OYSTER_TEST_VARIANT=cuda
#
# On a machine without a GPU, TORCH=cpu spares the gigabytes of CUDA at set-up:  make demo TORCH=cpu

# The newest of these for which a virtual environment can be made is taken; a shim that does not run is none.
PYTHON := python3.13 python3.12 python3.11
UV := uv==0.13.8
TORCH_CPU := https://download.pytorch.org/whl/cpu/torch/
LOCK := .venv/bin/uv pip compile --quiet --python-version 3.11 --python-platform linux \
	--annotation-style line --custom-compile-command "make lock"

# What dvc.yaml and the Snakefile call is what .venv holds, whether or not it is activated.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test test-pythons benchmark bench bench-scale bench-gpu lock kills fuzz mutants
.PHONY: schema pictures image image-archive sbom pin-base test-image

demo: .venv/installed
	@.venv/bin/snakemake --cores all demo
	@echo "The report: reports/demo/index.html"

test: .venv/installed-dev
	@.venv/bin/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

PYTHONS = $(foreach version,3.11 3.12 3.13,$(shell python$(version) -c 'print("$(version)")' 2>/dev/null))

test-pythons: .venv/installed-dev
	@for version in $(PYTHONS); do \
		test -f .venv-$$version/installed || $(MAKE) --no-print-directory .venv-$$version/installed || exit 1; \
	done
	@OYSTER_TEST_PYTHONS="$(PYTHONS:%=.venv-%/bin/python)" .venv/bin/python -m pytest tests/test_interpreters.py

.venv-%/installed: requirements.txt
	python$* -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --requirement requirements.txt
	@touch $@

benchmark: .venv/installed
	@.venv/bin/snakemake --cores all
	@echo "The report: reports/benchmark/index.html"

bench: .venv/installed
	@.venv/bin/python -m benchmarks.gradient_step
	@.venv/bin/python -m benchmarks.rollouts
	@.venv/bin/python -m benchmarks.scaling

TRIALS := 1000

bench-scale: .venv/installed
	@.venv/bin/python -m benchmarks.scale --trials $(TRIALS)

bench-gpu: .venv/installed
	@.venv/bin/python -m benchmarks.gradient_step --device cuda
	@.venv/bin/python -m benchmarks.scaling --device cuda
	@.venv/bin/python -m benchmarks.shared_gpu

KILLS := 300
TRIES := 2000

kills: .venv/installed-dev
	@.venv/bin/python -m tests.faults.kills --kills $(KILLS)

fuzz: .venv/installed-dev
	@.venv/bin/python -m tests.faults.fuzz_params --tries $(TRIES) --commands 100
	@.venv/bin/python -m tests.faults.fuzz_results --tries $(TRIES)
	@.venv/bin/python -m tests.faults.fuzz_records --tries $(TRIES) --commands 100

mutants: .venv/installed-dev
	@.venv/bin/python -m tests.mutants $(MODULE)

GRID := benchmark

pictures: .venv/installed
	@preset=$$(.venv/bin/python -c "from oyster.grid import *; print(find_grid(load_params('params.yaml'), '$(GRID)').preset)"); \
	mkdir -p oyster/envs/pictures/$$preset || exit 1; \
	for env in $$(ls results/$(GRID)); do \
		.venv/bin/python -m oyster simulate results/$(GRID)/$$env/mlp/42 --tasks 0 --video --out .pipeline/pictures/$$env && \
		cp .pipeline/pictures/$$env/task-0.png oyster/envs/pictures/$$preset/$$env.png || exit 1; \
	done

VARIANT := cuda

image: .venv/installed
	@.venv/bin/python docker/image.py --variant $(VARIANT)

image-archive: .venv/installed
	@.venv/bin/python docker/image.py --variant $(VARIANT) --archive

sbom: .venv/installed-dev
	@.venv/bin/python docker/image.py --variant $(VARIANT) --bill

pin-base: .venv/installed
	@.venv/bin/python docker/image.py --pin-base

test-image: .venv/installed-dev
	@OYSTER_TEST_IMAGE=$${OYSTER_TEST_IMAGE:-1} .venv/bin/python -m pytest tests/image $(if $(ONLY),-k $(ONLY))

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

schema: .venv/installed
	@.venv/bin/python -c "from oyster.params import schema; print(schema(), end='')" > params.schema.json

# The packages of CUDA are left out: torch's own wheel pins them, where it is one that needs them.
lock: .venv/installed
	.venv/bin/pip install --quiet $(UV)
	$(LOCK) pyproject.toml --output-file requirements.txt >/dev/null
	sed -i.all -E '/^(nvidia-|cuda-|triton=)/d' requirements.txt && rm requirements.txt.all
	$(LOCK) --group dev --constraint requirements.txt --output-file requirements-dev.txt >/dev/null
	$(LOCK) --no-annotate --generate-hashes --constraint requirements.txt pyproject.toml \
		--output-file docker/requirements-cuda.txt >/dev/null
	grep -o '^torch==[^ ]*' requirements.txt | sed 's/$$/+cpu/' | $(LOCK) --no-annotate --generate-hashes \
		--constraint requirements.txt --override - --find-links $(TORCH_CPU) pyproject.toml \
		--output-file docker/requirements-cpu.txt >/dev/null
