# make demo · make test · make bench · make lint · make clang · make sanitize: each sets up .venv by itself.
# make gpu-check compiles the Triton kernels for each GPU and checks what comes out; it needs none.
# make web builds the explorer page from web/; make web-check says whether a rebuild gives the same bytes. Both need Node 20.
#
#   PYTHON=python3.13       the interpreter of .venv (default: the first python3 that is 3.11 or later)
#   CXX=clang++             the compiler; after changing it, make clean
#   PEERS="torch jax"       what make bench installs to compare with; PEERS= for nothing beyond SciPy
#   WITHOUT=torch           what make test does not install, for it is there already or its tests are left out by TESTS

PEERS ?= torch==2.13.0 jax optax
TESTS ?=
WITHOUT ?=

venv   := .venv
python := $(venv)/bin/python
pip    := $(python) -m pip -qq
peers  := $(venv)/.peers-$(subst =,,$(subst $() ,-,$(strip $(PEERS))))
kernel := $(wildcard src/softxent/kernels/cpu/*.?pp src/softxent/kernels/cpu/*/*.?pp)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
ifneq ($(origin CXX),default)
export CXX
endif

.NOTPARALLEL:
.PHONY: help demo test bench gpu-check lint web web-check clang sanitize sanitize-address sanitize-thread clean compiler

help:
	@sed -n "1,8s/^# \{0,1\}//p" Makefile

demo: compiler $(venv)/.cli $(venv)/.kernel
	@$(venv)/bin/softxent train

test: compiler $(venv)/.test $(venv)/.kernel
	@$(python) -m pytest -q $(TESTS)

bench: compiler $(venv)/.bench $(venv)/.kernel $(peers)
	@$(python) -m benchmarks
	@$(python) -m benchmarks.estimator
	@$(python) -m benchmarks.linear
	@$(python) -m benchmarks.accuracy

# Compiles the GPU's kernels and checks them, which takes no GPU
gpu-check: compiler $(venv)/.test $(venv)/.kernel
	@$(python) -m benchmarks.gpu_check

lint: $(venv)/.lint
	@$(venv)/bin/ruff check
	@$(venv)/bin/ruff format --check
	@$(venv)/bin/mypy

clean:
	rm -rf $(venv) build dist web/node_modules


# The explorer page, one committed file: only its builder needs Node -------------------------------------------------------

page := src/softxent/app/explore/explorer.html
node := web/node_modules/.package-lock.json

$(node): web/package-lock.json
	@command -v npm > /dev/null || { echo "make web needs Node 20 and npm (Debian/Ubuntu: apt install nodejs npm)" >&2; exit 1; }
	@echo "Installing what the page is built with …"
	@cd web && npm ci --silent
	@touch $@

web: $(node)
	@cd web && npm run --silent check && npm run --silent test && npm run --silent build

web-check: $(node)
	@cd web && npm run --silent check && npm run --silent test && npm run --silent build -- --outDir ../build/web
	@cmp build/web/explorer.html $(page) || { echo "$(page) is not what web/ builds: run make web and commit it" >&2; exit 1; }
	@echo "$(page) is what web/ builds"


# .venv: one stamp a step, so that a step runs again only when what it was made from has changed --------------------

# What the extras $(1) of pyproject.toml ask for, and the build too, at the versions of constraints.txt
requirements = $(python) -c 'import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
	extras = p["project"]["optional-dependencies"]; \
	wanted = [*p["project"]["dependencies"], *(r for e in sys.argv[1:] for r in extras[e])]; \
	print(*(r for r in wanted if r.split(">")[0] not in "$(WITHOUT)".split()), sep="\n")'
install = $(pip) install -c constraints.txt $$($(requirements) $(1))

compiler:
	@for cxx in "$$CXX" $$([ -n "$$CXX" ] || echo c++ g++ clang++); do \
		$$cxx --version > /dev/null 2>&1 && exit 0; \
	done; \
	echo "softxent compiles its kernel: install a C++20 compiler (Debian/Ubuntu: apt install g++;" \
		"Fedora: dnf install gcc-c++; macOS: xcode-select --install)" >&2; exit 1

$(venv)/.created:
	@for p in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && break; p=; \
	done; \
	[ -n "$$p" ] || { echo "softxent needs Python 3.11 or later: set PYTHON, as in make test PYTHON=python3.13" >&2; exit 1; }; \
	echo "Creating $(venv) ($$($$p --version)) …"; \
	$$p -m venv --clear $(venv) || { echo "Python's venv is missing (Debian/Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(venv)/.build: pyproject.toml constraints.txt $(venv)/.created
	@echo "Installing the build tools …"
	@$(pip) install -c constraints.txt scikit-build-core nanobind cmake ninja
	@touch $@

$(venv)/.kernel: $(kernel) CMakeLists.txt pyproject.toml $(venv)/.build
	@echo "Compiling the kernel …"
	@$(pip) install --no-build-isolation --no-deps -e .
	@touch $@

$(venv)/.cli: pyproject.toml constraints.txt $(venv)/.created
	@echo "Installing the command's packages …"
	@$(call install,cli)
	@touch $@

$(venv)/.test: pyproject.toml constraints.txt $(venv)/.created
	@echo "Installing the command's and the tests' packages …"
	@$(call install,cli test)
	@touch $@

$(venv)/.lint: pyproject.toml constraints.txt $(venv)/.created
	@echo "Installing ruff and mypy …"
	@$(call install,cli dev)
	@touch $@

$(venv)/.bench: pyproject.toml constraints.txt $(venv)/.created
	@echo "Installing the benchmarks' packages …"
	@$(call install,bench)
	@touch $@

# A peer that cannot be had is said to be missing, and tried again at the next run
$(peers): constraints.txt $(venv)/.created
	@missing=; for peer in $(PEERS); do \
		echo "Installing $$peer to compare with …"; \
		$(pip) install --retries 1 -c constraints.txt "$$peer" || missing="$$missing $$peer"; \
	done; \
	if [ -n "$$missing" ]; then echo "NOT INSTALLED, so missing from the table:$$missing" >&2; else touch $@; fi


# A kernel compiled otherwise, in a .venv of its own that borrows the packages of .venv: make clang, make sanitize ------

KERNEL_TESTS ?= $(wildcard tests/test_kernel*.py)
# Numbers, on each instruction set, along rows, across them, and in strips; 16-bit logits once, with loss and gradient
CLANG_TESTS ?= $(patsubst %,tests/test_kernel_%.py,accuracy statistics tiles) \
	-k "not (test_softmax_and_its_logarithm and float16)"

# $(call other_kernel,NAME,CMAKE_DEFINITION …): build/NAME/bin/python has softxent with that kernel
define other_kernel
	@$(python) -m venv --without-pip build/$(1)
	@site=$$(build/$(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	$(python) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$site/packages_of_venv.pth; \
	$(pip) install --no-build-isolation --no-deps --upgrade --target $$site \
		-C build-dir=build/$(1)-cmake $(addprefix -C cmake.define.,$(2)) -C install.strip=false .
	@echo "Running the tests on it …"
endef

# Accuracy above all: the error terms rest on what a compiler contracts and what it leaves in order
clang := $(if $(filter clang%,$(notdir $(CXX))),$(CXX),clang++)
clang: export CXX = $(clang)
clang: $(venv)/.test $(venv)/.build
	@echo "Compiling the kernel with $$($$CXX --version | head -n 1), its warnings being errors …"
	$(call other_kernel,clang,SOFTXENT_WERROR=ON)
	@build/clang/bin/python -m pytest -q $(CLANG_TESTS)

sanitize: sanitize-address sanitize-thread
sanitize-address: flags = address,undefined
sanitize-address: library = asan
sanitize-thread: flags = thread
sanitize-thread: library = tsan

# libstdc++ is preloaded beside the sanitizer, which must find its __cxa_throw; setarch -R because libtsan of GCC 12
# knows no address space that is laid out with more than 28 random bits; OpenBLAS's own threads are not what is tested
sanitize-address sanitize-thread: sanitize-%: compiler $(venv)/.test $(venv)/.build
	@$(CXX) -v 2>&1 | grep -q "^gcc version" || { echo "make sanitize needs GCC: set CXX=g++" >&2; exit 1; }
	@echo "Compiling the kernel with -fsanitize=$(flags) …"
	$(call other_kernel,sanitize/$*,SOFTXENT_SANITIZE=$(flags))
	@LD_PRELOAD="$$($(CXX) -print-file-name=lib$(library).so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 \
	UBSAN_OPTIONS=print_stacktrace=1 \
	TSAN_OPTIONS=suppressions=tests/tsan_suppressions.txt,die_after_fork=0 \
	OPENBLAS_NUM_THREADS=1 \
	setarch -R build/sanitize/$*/bin/python -m pytest -q -s $(KERNEL_TESTS)
