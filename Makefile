# What people type. meson and ninja do the work; build/ is the release, the tests keep their own build-*/.

.PHONY: all build deps test check-unit deb install demo demo-clean clean compile-commands
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

DESTDIR ?=

all: build

# Debian and Ubuntu packages for all that follows.
deps:
	@tools/deps

# The program, at build/goldpath. In CI warnings are errors.
build: build/build.ninja
	@ninja -C build

build/build.ninja:
	@command -v meson >/dev/null && command -v ninja >/dev/null || { echo "meson and ninja are not installed: make deps" >&2; exit 1; }
	@log=$$(meson setup build -Dtests=false $(if $(filter true,$(CI)),-Dwerror=true)) || { echo "$$log" >&2; exit 1; }

# Everything, as CI does it; ends with "N passed, N failed". Parts of it: tests/run --help
test: deps
	@tests/run

# The quick round while working: unit tests with gcc's sanitizers.
check-unit:
	@tests/run --only unit-gcc fuzz-gcc

# dist/goldpath_<version>_<arch>.deb, for Debian 12 and 13, Ubuntu 22.04 and 24.04.
deb: build
	@packaging/build-deb

# Into the system, without a package: /usr/bin/goldpath, because that is the path sudoers lines name.
install: build
	@packaging/stage build/goldpath "$(DESTDIR)/"

# A throw-away VPS with the sample site on it, as a user would set it up; and away with it.
demo: deps deb
	@tools/demo

demo-clean:
	@tools/demo --clean

# For editors and clangd: all files, tests too.
compile-commands:
	@[ -e build-gcc-asan/build.ninja ] || tests/run --only build-gcc
	@ln -sf build-gcc-asan/compile_commands.json compile_commands.json

clean:
	@rm -rf build build-gcc-asan build-clang-asan dist compile_commands.json
