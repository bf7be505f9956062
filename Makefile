# SPDX-License-Identifier: MIT OR Apache-2.0
# A thin front of meson and ninja. `make help` lists the targets.
BUILD ?= build
MODE ?= 1280x720@60
SECONDS ?= 10
BITRATE ?= 0
PORT ?= 19777
PREFIX ?= /usr/local
SERVE ?=
MINUTES ?= 10

.PHONY: help deps build run serve test bench soak install uninstall clean

help:
	@echo "make run      install what is missing, build, stream a headless desktop to the reference client,"
	@echo "              and show what came out in demo/"
	@echo "              MODE=$(MODE) SECONDS=$(SECONDS) BITRATE=$(BITRATE) (kbit/s, 0 = default) PORT=$(PORT)"
	@echo "make serve    install what is missing, build, run the host until Ctrl-C; SERVE='options'"
	@echo "make test     install what is missing, build, run every test: release, ASan+UBSan and TSan builds"
	@echo "make bench    measure; writes $(BUILD)/bench.json"
	@echo "make soak     stream MINUTES=$(MINUTES) and watch memory, descriptors and outputs"
	@echo "make deps     install the Debian packages that are missing (names them on other systems)"
	@echo "make build    build only"
	@echo "make install  install to PREFIX=$(PREFIX) (DESTDIR is honoured)"
	@echo "make uninstall  remove what the last install from this folder wrote"
	@echo "make clean    remove what was built"

deps:
	@scripts/deps.sh

build: deps
	@scripts/build.sh $(BUILD)

run: build
	@scripts/run.sh "$(BUILD)" "$(MODE)" "$(SECONDS)" "$(BITRATE)" "$(PORT)"

serve: build
	@exec $(BUILD)/host/punktfunk-host serve $(SERVE)

test: build
	@scripts/test.sh $(BUILD)

soak: build
	@scripts/soak.py "$(BUILD)" "$(MINUTES)" "$(MODE)"

bench: build
	@scripts/bench.sh $(BUILD)

install: build
	@meson configure $(BUILD) --prefix "$(PREFIX)"
	@DESTDIR="$(DESTDIR)" meson install -C $(BUILD)

# What the last install from this folder wrote, by its log.
uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	rm -rf build build-asan build-tsan build-fuzz demo
