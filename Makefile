# make book      build the site from the stored outputs into _build/html
# make test      every gate; ends in a table of times
# make run       execute the chapters whose code, library or pins changed (ALL=1: all)
# make portable  execute all under other kernels, threads and last digits; nothing differs
# make pdf       the whole book as one PDF, into _build/pdf (needs Chromium)
# make bench     the benchmarks
# make mutants   plant random faults in the library; which do the unit tests not notice?
#                (SEED=1 COUNT=150 MODULES="linear noise"; RECORD=1 keeps the table)
# make new-chapter PLACE=chapters/FOLDER/name TITLE="..."   begin a chapter
# make clean     remove what was built (.venv stays; remove it by hand)
#
# Each makes .venv first and installs the pinned requirements, where that is not done.
# PYTHON=... chooses the Python (3.11 to 3.14); JOBS=... the processes (2).

JOBS ?= 2
VENV = .venv/bin

.PHONY: help book test run portable pdf bench mutants new-chapter clean environment

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

environment:
	@PYTHON="$(PYTHON)" sh tools/environment.sh

book: environment
	@$(VENV)/jupyter-book build . -W -n --keep-going -q
	@echo "Open _build/html/index.html"

test: environment
	@$(VENV)/python tools/gates.py --jobs $(JOBS)

run: environment
	@$(VENV)/python tools/notebooks.py run --processes $(JOBS) $(if $(ALL),--all)

portable: environment
	@$(VENV)/python tools/portable.py --processes $(JOBS)

pdf: environment
	@$(VENV)/python tools/pdf.py

bench: environment
	@if ls benchmarks/*.py >/dev/null 2>&1; then \
	    for file in benchmarks/*.py; do echo "$$file"; $(VENV)/python $$file; done; \
	else echo "No benchmarks yet."; fi

mutants: environment
	@$(VENV)/python tools/mutants.py $(if $(SEED),--seed $(SEED)) \
	    $(if $(COUNT),--count $(COUNT)) $(if $(MODULES),--modules $(MODULES)) \
	    $(if $(RECORD),--record tests/mutants.md)

new-chapter: environment
	@$(VENV)/python tools/new_chapter.py "$(PLACE)" "$(TITLE)"

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
