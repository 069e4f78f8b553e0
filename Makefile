# Everything happens in .venv; the stamp makes a warm call cost nothing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
SCALE ?= smoke

.PHONY: demo test lengthy fuzz faults faults-cluster lint format kernels papers docs install clean

demo: $(STAMP)
	$(BIN)/papertrial data prepare text
	$(BIN)/papertrial run mup-weight-decay-transfer --scale $(SCALE)
	@echo
	@echo "look:  $(BIN)/papertrial report mup-weight-decay-transfer-$(SCALE) --open"
	@echo "why:   $(BIN)/papertrial verdicts mup-weight-decay-transfer-$(SCALE)"
	@echo "next:  $(BIN)/papertrial list, then show TASK, plan TASK --scale laptop, run TASK --scale laptop"

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not lengthy"

# What takes half a minute and more each: nodes, heads and ranks that are killed.
lengthy: $(STAMP)
	$(BIN)/python -m pytest -m lengthy

fuzz: $(STAMP)
	PAPERTRIAL_FUZZ=long $(BIN)/python -m pytest -m fuzz

faults: $(STAMP)
	$(BIN)/python -m tests.faults --times 20

faults-cluster: $(STAMP)
	$(BIN)/python -m tests.faults --times 10 --jobs 4 --section "Sending a job" --section "Data on the nodes of a cluster" \
		--section "Trials of several ranks" --section "Object stores" --section "Nodes that come and go" --section "Endings"

kernels: $(STAMP)
	$(BIN)/python -m kernels check

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

papers: $(STAMP)
	$(BIN)/papertrial list --store results/reference --markdown PAPERS.md

# On GitHub for every change (docs.yml), not in .ci/run: tests/test_documentation.py holds most of what can break it, in a second.
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx --fail-on-warning --quiet --builder html docs build/docs

install: $(STAMP)

# torch goes first and by itself: asked for by its exact version, pip takes the build that this machine's index offers for it.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[kernels,data,llm,pruning,eeg,energy,dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
