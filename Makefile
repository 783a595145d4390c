# Two commands: `make serve` runs the gateway on this machine, `make test` runs every test.
# Each installs what it needs, on Debian 12 with Python 3.11.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What the tests run for real: the edge with its purge module, asked over HTTP/2 by curl, Redis, a browser, fonts to
# draw documents with.
TEST_PACKAGES := nginx libnginx-mod-http-cache-purge libnginx-mod-http-js openssl curl redis-server chromium fonts-noto-cjk fonts-dejavu-core

.PHONY: serve test lint stack clean
.DELETE_ON_ERROR:

serve: $(VENV)/installed-serve
	@exec $(BIN)/ocr-gateway serve

test: $(VENV)/installed-test system-packages
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

lint: $(VENV)/installed-test
	$(BIN)/ruff check .

# The programs of infra/compose.yaml, with the same configuration, started by hand.
stack: $(VENV)/installed-test system-packages
	@exec $(BIN)/python infra/stack.py

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-serve: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

# With several gigabytes of CUDA in PyTorch's default build, point pip at a CPU build first (PIP_FIND_LINKS or
# PIP_EXTRA_INDEX_URL); any build of the pinned version will do.
$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[training,test]'
	@touch $@ $(VENV)/installed-serve

.PHONY: system-packages
system-packages:
	@dpkg-query -W $(TEST_PACKAGES) >/dev/null 2>&1 || { $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null; }

clean:
	rm -rf $(VENV) build dist *.egg-info
