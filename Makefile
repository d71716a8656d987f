# Two commands set this project up: `make demo` and `make test`. Everything lands in .venv and tools/node/node_modules.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet

# The demo and the tests start hundreds of processes: none shall compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check clean

demo: $(VENV)/.installed-demo
	$(VENV)/bin/remhart-adt demo $(ARGS)

test: $(VENV)/.installed-test
	scripts/test $(ARGS)

check: $(VENV)/.installed-test
	scripts/check

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[sync,local,simulate,observe]'
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev,train,stock]'
	touch $@ $(VENV)/.installed-demo

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache tools/node/node_modules
