# Two commands: `make study` sets up and runs the main job, `make test` sets up and runs the tests.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CONSTRAINTS := requirements.lock

.PHONY: study test smoke check docs clean browser

study: .venv/core
	$(BIN)/trueup study examples/mixed --out out/mixed

test: .venv/test browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	@$(MAKE) --no-print-directory smoke

# Every claim from end to end as a user runs it, two at a time; what fails fails this.
smoke: .venv/test
	@rm -rf out/smoke
	@$(BIN)/python -c 'from trueup.claims import CLAIMS; print(*CLAIMS, sep="\n")' \
		| OMP_NUM_THREADS=1 xargs -P 2 -I NAME $(BIN)/trueup claims run NAME --scale smoke --quiet --json \
			--out out/smoke/parts --save out/smoke/results > /dev/null
	@$(BIN)/trueup claims show out/smoke/results

check: .venv/check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/make_docs.py --check

docs: .venv/core
	$(BIN)/python tools/make_docs.py

clean:
	rm -rf .venv out

# The report's test drives a real browser; Debian has one, and without it that test says so and is skipped.
browser:
	@command -v chromium chromium-driver chromedriver > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver > /dev/null; } \
		|| echo "no chromium: the browser test will be skipped (Debian packages: chromium chromium-driver)"

.venv/python:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/core: .venv/python pyproject.toml $(CONSTRAINTS)
	@echo "installing trueup into .venv (about a minute the first time)"
	$(PIP) --constraint $(CONSTRAINTS) --editable .
	@touch $@

.venv/test: .venv/core
	$(PIP) --constraint $(CONSTRAINTS) --editable '.[serve,train,smt,words,test]'
	@touch $@

.venv/check: .venv/test
	$(PIP) --constraint $(CONSTRAINTS) --editable '.[serve,train,smt,words,test,check]'
	@touch $@
