# Every goal does its own set-up, so that a fresh machine needs git, make and python3.11 only.
PYTHON_IN_VENV := .venv/bin/python

.PHONY: run test lint format bench screenshots soak clean

run:            ## opens the console on the lab (LAB=lab)
	@.ci/setup run
	@.ci/console

test: lint      ## lint, then every test; then what no test has run of the parts that keep the bytes
	$(PYTHON_IN_VENV) -m pytest -n 2 --dist loadfile
	$(PYTHON_IN_VENV) -m tests.coverage_gate

lint:           ## style, types, who imports whom
	@.ci/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

format:         ## lets ruff mend what it can
	@.ci/setup test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench:          ## speed, each figure beside a peer in the same run
	@.ci/setup test
	$(PYTHON_IN_VENV) -m tests.bench

screenshots:    ## writes screenshots/ from the real console
	@.ci/setup test
	$(PYTHON_IN_VENV) -m tests.gui.shots

soak:           ## the random tests, long and from new seeds, and the simulator's full counts
	@.ci/setup test
	VEA_SOAK=1 $(PYTHON_IN_VENV) -m pytest --timeout=3600 -o faulthandler_timeout=3500 $(SOAK)
	$(PYTHON_IN_VENV) -m tests.sim.soak --publish

clean:          ## forgets the set-up; the lab stays
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
