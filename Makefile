# Two commands set this project up: `make demo` and `make test`. Everything lands in .venv and tools/node/node_modules.
PYTHON ?= python3
VENV := .venv
# Thousands of modules are never imported: those that are get compiled when they are.
INSTALL := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile -c constraints.txt

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
	$(INSTALL) -e '.[sync,local,simulate,observe]'
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev,train,stock]'
	touch $@ $(VENV)/.installed-demo

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache tools/node/node_modules
