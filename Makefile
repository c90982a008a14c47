# make demo  the whole main job on a synthetic dataset, from set-up to picture
# make demo-skeleton  a skeleton stream on the same dataset, fused with the demo's RGB scores
# make demo-pretraining  masked pretraining on unlabelled clips of that dataset, then few labels
# make demo-entry  four streams on the same dataset, trained, fused and reported
# make demo-spotting  gestures in whole videos: a window classifier and a temporal detector
# make test  the tests
# They make .venv from $(PYTHON) where it is missing, with the versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PYTEST := $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check

MINUTES ?= 5

.PHONY: help demo demo-skeleton demo-pretraining demo-entry demo-spotting test test-slow test-all \
	test-triton gpu-report fuzz check-install lint docs clean
help:
	@sed -n '1,7s/^# //p' Makefile
	@echo 'make test-slow  the tests that take minutes; make test-all  every test'
	@echo "make test-triton  the GPU's kernels: values, in the interpreter without a GPU, and compiled for sm_80 to sm_120"
	@echo "make gpu-report  the GPU's tests and its speed, into docs/performance/, within 8 minutes"
	@echo 'make fuzz  mutated files through every reader, MINUTES=5'
	@echo 'make check-install  resolves the install for other systems and Pythons, from the registry alone'
	@echo 'make lint  ruff, mypy and codespell'
	@echo 'make docs  the documentation, into site/; warnings are errors'
	@echo 'make clean  remove .venv, site and what the demos wrote'

demo: $(STAMP)
	$(VENV)/bin/python tools/demo_run.py

demo-skeleton: $(STAMP)
	$(VENV)/bin/python tools/demo_skeleton.py

demo-pretraining: $(STAMP)
	$(VENV)/bin/python tools/demo_pretraining.py

data/demo/test.csv: | $(STAMP)
	$(VENV)/bin/python tools/demo_run.py --data-only

demo-entry: data/demo/test.csv $(STAMP)
	$(VENV)/bin/python tools/data/make_flow.py data/demo/trainval.csv data/demo/test.csv \
		--videos data/demo/videos --out data/demo/flow
	$(VENV)/bin/python tools/entry.py entries/demo.yaml

demo-spotting: $(STAMP)
	$(VENV)/bin/python tools/demo_spotting.py

test: $(STAMP)
	$(PYTEST)

test-slow: $(STAMP)
	$(PYTEST) -m slow

test-all: $(STAMP)
	$(PYTEST) -m ''

test-triton: $(STAMP)
	$(PIP) install --progress-bar off -q -c constraints.txt triton
	$(PYTEST) -m '' --dist load tests/test_ops/test_triton_aot.py
	TRITON_INTERPRET=$$($(VENV)/bin/python -c 'import torch; print(int(not torch.cuda.is_available()))') \
		$(PYTEST) -m '' --dist load tests/test_ops/test_triton_attention.py

gpu-report: $(STAMP)
	$(VENV)/bin/python tools/analysis/gpu_report.py

fuzz: $(STAMP)
	$(VENV)/bin/python tests/fuzzing.py --minutes $(MINUTES)

check-install: $(DEV)
	.ci/check_install.sh

lint: $(DEV)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	git ls-files -z | xargs -0 $(VENV)/bin/codespell

docs: $(DEV)
	$(VENV)/bin/python -m sphinx -q -W --keep-going -d site/.doctrees docs site

# the stamp comes last, so that a failed install is tried again
$(STAMP): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 10) <= v[:2] < (3, 13) else f"gaie_mmaction needs Python 3.10 to 3.12, but $(PYTHON) is {v[0]}.{v[1]}: choose another one by make PYTHON=python3.11 ...")'
	@echo 'Installing into $(VENV): some minutes, once'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --progress-bar off -q -c constraints.txt setuptools wheel torch
	$(PIP) install --progress-bar off -q -c constraints.txt --no-build-isolation -e '.[lite,export,tensorboard,test]'
	@touch $(STAMP)

$(DEV): $(STAMP)
	$(PIP) install --progress-bar off -q -c constraints.txt --no-build-isolation -e '.[lite,test,dev]'
	@touch $(DEV)

clean:
	rm -rf $(VENV) site data/demo data/demo_release data/demo_spotting data/demo_spotting_release \
		work_dirs/demo work_dirs/demo_pretraining work_dirs/demo_entry work_dirs/demo_spotting \
		work_dirs/demo_spotting_plain
