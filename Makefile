# Modelhost. `make run` serves the models of models.yaml, `make test` runs the tests.
# Both create .venv first; PYTHON selects the interpreter.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What the service needs, with the extra that requirements.txt includes.
PROJECT := pyproject.toml --extra compiled

# One more than cores: a third of the time, tests wait for servers and browsers.
TEST_PROCESSES = $(shell python3 -c "import os; print(min(4, (os.cpu_count() or 1) + 1))")

# Without bytecode, each process of a test or a server would compile the sources again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint bench examples chromium wrk openapi pictures lock flama clients shap ray postgresql clean help image-test

help: ## List the commands.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

run: $(VENV)/.serve examples ## Serve the models; HOST, PORT and WORKERS set the address and the processes.
	@echo "Starting the server. Ctrl-C stops it."
	@exec $(BIN)/gunicorn

test: $(VENV)/.dev examples chromium ## Run the tests; ARGS goes to pytest.
	@echo "Running the tests ..."
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev examples ## Check style, types and the committed openapi.yaml.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python openapi.py --check

bench: $(VENV)/.bench wrk ## Compare speed with other servers (takes minutes); ARGS="--full" measures all.
	@echo "Measuring; other work on this machine spoils the figures. Ctrl-C stops and prints the results so far ..."
	@$(BIN)/python -m benchmarks $(ARGS)

examples: | $(VENV)/.serve
	@$(BIN)/python -m examples.train

# Debian's chromium, where it is missing and may be installed. The tests in a browser are skipped by
# name without it.
chromium:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=env; else as_root="sudo -n"; fi; \
	if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
		echo "Installing chromium for the tests in a browser ..."; \
		$$as_root apt-get update -qq; \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	fi; \
	command -v chromium >/dev/null || echo "*** No chromium: ALL TESTS IN A BROWSER WILL BE SKIPPED. As root: apt-get install chromium"

wrk:
	@command -v wrk >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=env; else as_root="sudo -n"; fi; \
	echo "Installing wrk ..."; \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq wrk >/dev/null; \
	command -v wrk >/dev/null || { echo "*** No wrk. As root: apt-get install wrk"; exit 1; }

openapi: $(VENV)/.serve examples ## Write openapi.yaml.
	@$(BIN)/python openapi.py

image-test: examples ## Build deploy/Dockerfile with buildah and predict in it; BASE names another base image.
	@if command -v buildah >/dev/null; then exec deploy/test_image.sh; \
	else echo "*** No buildah: THE IMAGE IS NOT TESTED. As root: apt-get install buildah"; fi

pictures: $(VENV)/.dev examples chromium ## Retake the pictures in the docs; needs chromium.
	@$(BIN)/python -m docs.take_pictures

lock: $(VENV)/.dev ## Pin the newest dependencies, including those of tests and benchmarks.
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 \
		--custom-compile-command "make lock" $(PROJECT) -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 \
		--custom-compile-command "make lock" $(PROJECT) --group dev -c requirements.txt -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 \
		--custom-compile-command "make lock" $(PROJECT) --group bench -c requirements.txt -o requirements-bench.txt
	@echo "Checking that each extra can be installed beside requirements.txt ..."
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras pyproject.toml -c requirements.txt -o /dev/null
	@for peer in benchmarks/requirements/*.in; do \
		echo "Pinning $$peer ..."; \
		$(BIN)/uv pip compile --quiet --universal --upgrade --no-annotate --python-version 3.11 \
			--custom-compile-command "make lock" -c requirements.txt "$$peer" -o "$${peer%.in}.txt" || exit 1; \
	done

flama: $(VENV)/.dev ## Install Flama for the compatibility tests.
	@test -x $(VENV)-flama/bin/python || $(BIN)/python -m venv $(VENV)-flama
	$(VENV)-flama/bin/python -m pip install --disable-pip-version-check --progress-bar off \
		"flama[pydantic]==2.2.2" $$(grep -E "^(scikit-learn|pandas)==" requirements.txt)

# Not in requirements-dev.txt: gevent of tritonclient needs an older greenlet than playwright, and
# kserve an older pandas.
clients: $(VENV)/.dev examples ## Test with real clients, a registry of MLflow and Grafana's schema, each in its own environment.
	@for client in "tritonclient[http]==2.73.0" kserve==0.21.0 mlserver==1.7.1 mlflow==3.17.2 \
		"grafana-foundation-sdk==1769699379!11.6.0" adlfs==2026.8.0 gcsfs==2026.10.1; do \
		folder=$(VENV)-clients/$${client%%[[=]*}; \
		echo "Installing $$client in $$folder ..."; \
		test -x $$folder/bin/python || $(BIN)/python -m venv $$folder || exit 1; \
		$$folder/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar off "$$client" || exit 1; \
	done
	@$(BIN)/python -m pytest tests/clients

# Not in requirements-dev.txt: shap takes seconds to import, and needs numba.
shap: $(VENV)/.dev ## Write the Shapley values that tests compare with, in an environment of its own.
	@test -x $(VENV)-shap/bin/python || $(BIN)/python -m venv $(VENV)-shap
	$(VENV)-shap/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		shap==0.51.0 $$(grep -E "^scikit-learn==" requirements.txt)
	$(VENV)-shap/bin/python -m tests.shap_values

ray: $(VENV)/.dev examples ## Test Ray Serve on two local nodes, with Ray in its own environment.
	@test -x $(VENV)-ray/bin/python || $(BIN)/python -m venv $(VENV)-ray
	@echo "Installing Ray in $(VENV)-ray ..."
	@$(VENV)-ray/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar off "ray[serve]==2.60.0" psutil . -r requirements.txt
	@$(VENV)-ray/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	@$(BIN)/python -m pytest tests/clients/test_ray.py

# Not in requirements-dev.txt: few machines have the server.
postgresql: $(VENV)/.dev ## Test jobs on PostgreSQL, which must be installed, as by apt-get install postgresql.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off "psycopg[binary]==3.3.9"
	@$(BIN)/python -m pytest -k postgresql tests/app/serving/jobs tests/servers/test_job_processes.py

clean: ## Remove the virtual environments and the trained examples.
	rm -rf $(VENV) $(VENV)-shap $(VENV)-flama $(VENV)-clients $(VENV)-ray benchmarks/.envs examples/models build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Modelhost needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the service needs (about half a minute the first time) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.serve
	@echo "Installing what the tests need (about half a minute the first time) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements-dev.txt
	@touch $@

$(VENV)/.bench: requirements-bench.txt $(VENV)/.serve
	@echo "Installing the requirements of the benchmarks ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements-bench.txt
	@touch $@
