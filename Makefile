# What CI runs, a person runs by the same name. `make help` lists the targets.

PYTHON ?= python3
HOSTS  ?= 3
ARGS   ?=
# Tests wait more than they work. Each worker has a lab of its own; 0 runs all in one process, as a debugger needs it.
WORKERS ?= 2

VENV := .venv/$(notdir $(PYTHON))
BIN  := $(VENV)/bin
# What `make bench` compares with does not go with what we need.
BENCH := .venv/bench
# The lab's hosts need these, and the tests of a shared journal a server; everything else is in requirements/.
PACKAGES := busybox conntrack git haproxy iproute2 nftables nginx-light openssh-client openssh-server postgresql procps python3 sudo systemd tcpdump
# Virtual machines need these besides: a lot, so that `make test` does not ask for them.
VM_PACKAGES := e2fsprogs mmdebstrap qemu-system-x86 qemu-utils

.DEFAULT_GOAL := help
.PHONY: help demo test slow fuzz prove test-vm test-vm-short test-kernels molecule lint sanity check bench lab-up lab-down lab-status build \
  docs packages vm-packages clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready packages  ## Show the main job on three lab hosts, and take all of it back.
	$(BIN)/python -m tests.demo

test: $(VENV)/ready packages  ## Run all tests, those on lab hosts included. ARGS go to pytest.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

slow: $(VENV)/ready packages  ## Run the tests that take minutes, 2,000 generated trees for each boot loader among them.
	$(BIN)/python -m pytest -m slow $(ARGS)

fuzz: $(VENV)/ready packages  ## Feed every reader of foreign bytes with changed and random ones, 3000 times. ARGS go to pytest.
	TCPTUNE_FUZZ=3000 $(BIN)/python -m pytest --timeout 7200 $(ARGS) tests/fuzz tests/unit/adapters/test_captures.py \
	  tests/unit/adapters/test_yaml_source.py tests/unit/captures tests/unit/planning/test_explain_cause.py \
	  tests/unit/probes/test_sockets.py tests/unit/probes/test_strain.py

prove: $(VENV)/ready packages  ## Make every fault, and let the real command diagnose it blind. ARGS: names, --page FILE.
	$(BIN)/python -m tests.faults.prove $(ARGS)

test-vm: $(VENV)/ready packages  ## Run the tests on a virtual machine, power cuts included. The first run builds its image.
	TCPTUNE_VM_RELEASES=bookworm $(BIN)/python -m pytest tests/vm -m vm -rA $(ARGS)

test-vm-short: $(VENV)/ready packages  ## Run a short part of that: the whole way, and two power cuts at the same moments each time.
	TCPTUNE_VM_RELEASES=bookworm TCPTUNE_VM_POWER_CUTS=2 TCPTUNE_VM_SEED=1 \
	  $(BIN)/python -m pytest tests/vm/test_main_way.py tests/vm/test_power_cuts.py -m vm -rA $(ARGS)

test-kernels: $(VENV)/ready packages  ## Run the whole way and the catalogue on Linux 5.10, 6.1 and 6.12.
	TCPTUNE_VM_RELEASES="bullseye bookworm trixie" \
	  $(BIN)/python -m pytest tests/vm/test_main_way.py tests/vm/test_late_modules.py tests/vm/test_catalogue.py \
	  tests/vm/test_evidence.py -m vm $(ARGS)

test-vm test-vm-short test-kernels vm-packages: PACKAGES += $(VM_PACKAGES)

vm-packages: packages

molecule: $(VENV)/ready packages  ## Run the scenarios of the Ansible content on lab hosts. ARGS="-s NAME" runs one.
	@# molecule ends the hosts of a scenario that fails; who is interrupted leaves that to us.
	@trap 'for lab in .ansible/tmp/molecule.*/lab; do \
	    [ ! -d "$$lab" ] || $(BIN)/python -m tests.lab down --dir "$$lab"; done' EXIT; \
	  trap 'exit 130' INT; trap 'exit 143' TERM; \
	  ANSIBLE_HOME="$(CURDIR)/.ansible" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/molecule test $(or $(ARGS),--all)

lint: $(VENV)/ready  ## Check format, style, types, layers and the Ansible content.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@# The checkout is the collection: ansible-lint finds it by its name below this link.
	@mkdir -p .ansible/collections/ansible_collections/tcptune
	@ln -sfn "$(CURDIR)" .ansible/collections/ansible_collections/tcptune/linux
	ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.ansible/collections" PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/ansible-lint --offline

sanity: $(VENV)/ready  ## Run ansible-test's own checks of the collection. ARGS name some of them.
	$(BIN)/python -m tests.collection.sanity $(ARGS)

check: lint test  ## What has to be green before a change lands.

bench: $(VENV)/ready $(BENCH)/ready packages  ## Measure against what a user would pick instead. Prints ratios.
	$(BIN)/python -m benchmarks.facts
	$(BIN)/python -m benchmarks.apply
	$(BIN)/python -m benchmarks.logs
	$(BIN)/python -m benchmarks.pcap

lab-up: $(VENV)/ready packages  ## Start HOSTS=n network-namespace hosts and say where their inventory is.
	$(BIN)/python -m tests.lab up $(HOSTS)

lab-down: $(VENV)/ready  ## Stop the hosts; leaves nothing behind.
	$(BIN)/python -m tests.lab down

lab-status: $(VENV)/ready  ## Say which hosts run.
	$(BIN)/python -m tests.lab status

build: $(VENV)/ready  ## Build wheel, source archive and collection into dist/.
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/ansible-galaxy collection build --force --output-path dist .

docs: $(VENV)/ready  ## Build the manual into site/.
	$(BIN)/mkdocs build --strict

packages:
	@missing=$$(dpkg-query -W -f '$${Package} $${db:Status-Status}\n' $(PACKAGES) 2>/dev/null \
	  | awk -v all="$(PACKAGES)" '$$2 == "installed" {have[$$1] = 1} \
	      END {n = split(all, names, " "); for (i = 1; i <= n; i++) if (!have[names[i]]) print names[i]}'); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "missing packages, install them as root:" $$missing >&2; exit 1; fi; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; \
	fi

$(VENV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info[:2] in ((3, 11), (3, 12), (3, 13)), sys.version' \
	  || { echo "$(PYTHON) is none of Python 3.11, 3.12, 3.13; say which one to use: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH)/ready: requirements/bench.txt $(VENV)/ready
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --no-compile -r requirements/bench.txt
	@touch $@

clean:  ## Remove what was built, the virtual environments included.
	rm -rf .venv build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
