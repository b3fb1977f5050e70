# `make demo` provisions a throwaway host, `make station` runs the same on loopback without one; `make test` is what the
# CI runs. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Debian's own Python: what a host runs, whatever else is first on PATH.
SYSTEM_PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/.stamps

AUDIO_URL ?=
PROFILE ?= 720p30
SWITCH_DELAY ?=
STATIONS ?= 1
# Not from the environment: bash counts its own seconds there.
SECONDS ?= 3600
RUN_DIR ?= .run
export AUDIO_URL PROFILE SWITCH_DELAY STATIONS RUN_DIR

TWO_AT_A_TIME = -n 2 --dist loadfile
# What waits more than it works. In the integration tests each worker has a station, which a file's tests share.
THREE_AT_A_TIME = -n 3 --dist loadfile
# Each target remembers what failed by itself: two of them run side by side.
remembering = $(PY) -m pytest --override-ini cache_dir=.pytest_cache/$@
# What fails beside others of its target is tried once more without them: limits are wall-clock, and the machine may be a
# shared one. Only where pytest came to its end (1): after an error of its own, or ^C, tests may be left that nobody ran.
pytest = $(remembering) $(1) $(2) \
    || { [ $$? -eq 1 ] && $(remembering) --last-failed --last-failed-no-failures none $(2); }

SHELL_SCRIPTS = .ci/run $(shell find tests roles molecule -name '*.sh')

.PHONY: help setup station demo demo-down test patient lint format unit integration browser chromium fuzz images \
    molecule bench soak faults roles-docs radioctl-docs lock clean packages

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: packages $(STAMPS)/service $(STAMPS)/tools ## install what is missing: Debian packages, then .venv

packages:
	@tests/rig/install-packages.sh

# Only for whoever tests the page: it is larger than all the rest.
chromium:
	@tests/rig/install-packages.sh chromium fonts-noto-core

$(PY):
	$(SYSTEM_PYTHON) -m venv --clear $(VENV)

$(STAMPS)/service: hook_service/requirements.lock | packages $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@mkdir -p $(@D) && touch $@

$(STAMPS)/tools: requirements.txt $(STAMPS)/service | packages
	$(PY) -m pip install --quiet --disable-pip-version-check -r $<
	@mkdir -p $(@D) && touch $@

station: packages $(STAMPS)/service ## a demo station on the air in the foreground; AUDIO_URL= PROFILE= SWITCH_DELAY= STATIONS=
	@exec $(PY) -m tests.rig station

demo: setup ## a throwaway Debian host, provisioned by site.yml, with a station on the air
	$(PY) -m tests.hosts.demo up

demo-down: ## remove it
	$(PY) -m tests.hosts.demo down

test: setup chromium ## everything: lint, unit, integration with the real processes, a browser, whole hosts
	$(MAKE) --no-print-directory --jobs 2 --output-sync=recurse patient integration
	$(MAKE) --no-print-directory browser
	$(MAKE) --no-print-directory molecule

# The integration tests wait more than they work. Beside them goes what mostly computes, and gives way.
patient:
	nice -n 19 $(MAKE) --no-print-directory lint images unit

lint: setup ## ruff, mypy, yamllint, ansible-lint, shellcheck
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict hook_service tests playbooks
	$(VENV)/bin/yamllint --strict .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/ansible-lint --offline --strict
	shellcheck $(SHELL_SCRIPTS)

format: setup ## let ruff rewrite what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

unit: setup ## the unit tests alone, and the short version of `make fuzz`
	$(call pytest,$(THREE_AT_A_TIME),tests/unit tests/fuzz)

integration: setup ## the integration tests alone
	$(call pytest,$(THREE_AT_A_TIME) --reruns 1,tests/integration)

browser: setup chromium ## the page in a real Chromium alone; SCREENSHOTS=1 takes the documentation's pictures of it
	$(call pytest,$(TWO_AT_A_TIME) --reruns 1,tests/browser)

fuzz: setup ## more than 300,000 spoiled inputs for everything that comes from outside; a short version is part of the tests
	$(PY) -m pytest $(TWO_AT_A_TIME) --hypothesis-profile fuzz --timeout 3600 tests/fuzz

images: setup
	tests/hosts/install-packages.sh
	$(PY) -m tests.hosts images

molecule: setup ## whole hosts alone: python -m tests.hosts.scenarios NAME runs one scenario
	$(PY) -m tests.hosts.scenarios

roles-docs: setup ## write the roles' READMEs from their argument specs
	$(PY) -m tests.roles_docs

radioctl-docs: setup ## write docs/RADIOCTL.md from the commands
	$(PY) -m tests.radioctl_docs

bench: setup chromium ## measure against the original's design; writes docs/benchmarks.md
	$(PY) -m tests.bench

# An hour by default, written to docs/; a shorter run is a trial and writes nothing.
soak: packages $(STAMPS)/service ## an hour on the air with a fault every minute; writes docs/soak.md; SECONDS=
	$(PY) -m tests.soak --seconds $(SECONDS)

faults: setup ## do every fault to a host and measure it; writes docs/RELIABILITY.md; python -m tests.faults --only NAME
	$(PY) -m tests.faults

lock: setup ## resolve the dependencies anew, within what the two inputs allow
	cd hook_service && ../$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" -o requirements.txt requirements.in

clean: ## remove what was built or run here
	@test ! -d $(RUN_DIR) || flock --nonblock --conflict-exit-code 75 $(RUN_DIR) true \
	    || { echo "a station still runs in $(RUN_DIR): end it first" >&2; exit 1; }
	@if compgen -G '$(RUN_DIR)/demo/hosts.json' >/dev/null || compgen -G '$(RUN_DIR)/molecule/*/hosts.json' >/dev/null; then \
	    echo "hosts are still up: make demo-down, or molecule destroy --all" >&2; exit 1; fi
	@# What its unprivileged servers could not keep below the run directory is linked from there.
	@for link in $(RUN_DIR)/postgres $(RUN_DIR)/icecast $(RUN_DIR)/radio-radio.mp3; do \
	    if [[ -L $$link ]]; then rm -rf -- "$$(readlink "$$link")"; fi; \
	done
	rm -rf .run $(RUN_DIR) $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build \
	    hook_service/build hook_service/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
