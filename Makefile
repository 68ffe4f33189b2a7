# make book | pdf | test | test-rows | test-pages | test-rounding | test-rounding-SSE |
#      test-rounding-AVX2 | test-oldest | test-notebooks | test-assignments | execute | lab |
#      bench | notebooks | assignments | slides-figures | clean
# Needs make and Python 3.11 or newer; everything else is installed into .venv, but for a browser.

PYTHON ?= python3
BIN    := .venv/bin
OLDEST := .venv-oldest/bin
READER := .venv-reader/bin
PIP    := $(BIN)/python -m pip install -qq -c constraints.txt

# Two notebooks run side by side in the tests: one thread each keeps their running times honest.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1

# Numbers as processors of two older kinds round them; tests/test_rounding.py says which settings
# change anything here. A kernel of OpenBLAS that the machine itself sets, as some must, stays.
ROUNDING_SSE  := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE \
  OPENBLAS_CORETYPE=$(or $(OPENBLAS_CORETYPE),Nehalem)
ROUNDING_AVX2 := ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
  OPENBLAS_CORETYPE=$(or $(OPENBLAS_CORETYPE),Haswell)

BROWSERS := chromium chromium-browser google-chrome

.PHONY: book test test-rows test-pages test-rounding test-rounding-SSE test-rounding-AVX2 test-oldest
.PHONY: test-notebooks test-assignments execute lab bench notebooks assignments pdf
.PHONY: slides-figures clean

book: .venv/installed
	$(BIN)/jupyter-book build . --nitpick --warningiserror --keep-going

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(ONE_THREAD) $(BIN)/python -m pytest tests --ignore=tests/pages --ignore=tests/assignments \
	  --ignore=tests/test_rounding.py -m 'not row' -n 2 --dist loadgroup
	$(ONE_THREAD) $(BIN)/python -m pytest --nbval-lax book -n 2 --dist loadscope \
	  --nbval-cell-timeout=600 -p no:cacheprovider

# Rows of stored results, made again.
test-rows: .venv/installed
	$(ONE_THREAD) $(BIN)/python -m pytest tests/benchmarks -m row -n 2

# The built book in a browser; root on a Debian without one, as in a container, gets its own.
test-pages: .venv/installed
	@if [ -z "$$(which $(BROWSERS))" ] && [ "$$(id -u)" = 0 ] && [ -n "$$(which apt-get)" ]; then \
	  apt-get update -qq && apt-get install -qq --no-install-recommends \
	  chromium fonts-dejavu-core || echo "No browser could be installed: its tests are skipped."; fi
	$(BIN)/python -m pytest tests/pages -n 2 --dist loadgroup

# Economies, solvers, measures and two chapters, as machines would have it that are not this one.
test-rounding: test-rounding-SSE test-rounding-AVX2
	$(BIN)/python -m pytest tests/test_rounding.py

test-rounding-SSE test-rounding-AVX2: test-rounding-%: .venv/installed
	$(ONE_THREAD) $(ROUNDING_$*) $(BIN)/python -m pytest tests/test_markov.py \
	  tests/test_networks.py tests/economies tests/solvers tests/evaluation -n 2
	$(ONE_THREAD) $(ROUNDING_$*) $(BIN)/python -m pytest --nbval-lax book/framework/planner.ipynb \
	  book/framework/market.ipynb -n 2 --dist loadscope --nbval-cell-timeout=600 -p no:cacheprovider

# With the lowest versions that pyproject.toml allows, whatever needs no agent that learns for long.
test-oldest: .venv-oldest/installed
	$(ONE_THREAD) $(OLDEST)/python -m pytest tests --ignore=tests/book --ignore=tests/pages \
	  --ignore=tests/assignments -m 'not learning and not row' -n 2 --dist loadgroup

# Runs all chapters, or those named: make execute NOTEBOOKS="book/framework/planner.ipynb"
execute: .venv/installed
	$(ONE_THREAD) $(BIN)/python book/_ext/execute.py $(NOTEBOOKS)

lab: .venv/installed
	$(BIN)/jupyter lab book

QUESTIONS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard benchmarks/*/__main__.py)))))

# Everything takes hours; benchmarks/__init__.py says how to make or to print a part.
bench: .venv/installed-bench
	for question in $(QUESTIONS); do $(BIN)/python -m benchmarks.$$question || exit 1; done

# Copies for readers, in plain Markdown; each installs the package first.
notebooks: .venv/installed
	$(BIN)/jupyter-book build . --builder custom --custom-builder notebooks \
	  --warningiserror --keep-going

# The whole book as _build/paper/book.pdf; make book, run later, offers it on the front page.
pdf: .venv/installed-pdf
	$(BIN)/jupyter-book build . --builder custom --custom-builder paper \
	  --warningiserror --keep-going

# Every figure as a vector, _build/figures/NAME.svg, with its caption. Draws what is missing.
slides-figures: .venv/installed
	$(ONE_THREAD) $(BIN)/python book/_ext/draw_figures.py $(NOTEBOOKS)

# Runs all copies, or those named, as on Colab: newest versions, and only what they install.
COPIES ?= _build/notebooks
test-notebooks: notebooks
	rm -rf .venv-reader _build/notebooks/book/*/lectures
	"$(PYTHON)" -m venv .venv-reader
	$(READER)/python -m pip install -qq ipykernel nbval pytest
	$(READER)/python -m pytest --nbval-lax $(COPIES) --nbval-cell-timeout=900 -p no:cacheprovider

# Graded assignments, for students and for who grades: _build/assignments/NAME.
assignments: .venv/installed-course
	$(ONE_THREAD) $(BIN)/python -m assignments.build

# Solutions, blanks and planted mistakes, through the grader.
test-assignments: .venv/installed-course
	$(ONE_THREAD) $(BIN)/python -m pytest tests/assignments -n 2 --dist loadgroup

clean:
	rm -rf _build

# The file's date says for which pyproject.toml and constraints.txt the environment was made.
.venv/installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The book needs Python 3.11 or newer, and '$(PYTHON)' is not."; \
	  echo "Name another one, for example: make book PYTHON=python3.12"; exit 1; }
	@echo "Installing into .venv (some minutes the first time)"
	"$(PYTHON)" -m venv .venv
	$(PIP) -e '.[book,test]'
	touch $@

.venv/installed-pdf: .venv/installed
	$(PIP) -e '.[pdf]'
	touch $@

.venv/installed-bench: .venv/installed
	$(PIP) -e '.[bench]'
	touch $@

.venv/installed-course: .venv/installed
	$(PIP) -e '.[course]'
	touch $@

.venv-oldest/installed: pyproject.toml constraints-oldest.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' || { \
	  echo "The lowest versions are made for Python 3.11 and 3.12, and '$(PYTHON)' is neither."; \
	  echo "Name another one, for example: make test-oldest PYTHON=python3.11"; exit 1; }
	@echo "Installing into .venv-oldest (some minutes the first time)"
	"$(PYTHON)" -m venv .venv-oldest
	$(OLDEST)/python -m pip install -qq -c constraints-oldest.txt -e '.[test]'
	touch $@
