# What a contributor types. `make` alone prints the targets; CONTRIBUTING.md explains them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

GO        ?= go
PREFIX    ?= /usr/local
FUZZTIME  ?= 20s
BENCHTIME ?= 1s
# Options for make bench; docs/benchmarks.md lists them.
BENCHFLAGS ?=

VERSION := $(shell git describe --tags --always --match 'v*' 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse -q --verify HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
DATE    := $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.buildVersion=$(VERSION) -X main.buildCommit=$(COMMIT) -X main.buildDate=$(DATE)

# No C compiler, no libc: the binary runs on any Linux of its architecture.
# The commit is passed by hand, for -buildvcs refuses a checkout that another user owns.
BUILD := CGO_ENABLED=0 GOOS=linux $(GO) build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)'

.PHONY: help
help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the static binary of this machine's architecture: bin/layerfs
	$(BUILD) -o bin/layerfs ./cmd/layerfs

.PHONY: dist
dist: ## static binaries for linux amd64 and arm64: dist/
	for arch in amd64 arm64; do GOARCH=$$arch $(BUILD) -o dist/layerfs-linux-$$arch ./cmd/layerfs; done

.PHONY: setup
setup: ## install what the tests need and this machine lacks (Debian, Ubuntu)
	scripts/setup test

.PHONY: test
test: setup build ## all tests; as root: once as root, once as a plain user
	scripts/test ./...

.PHONY: race
race: setup ## the packages' tests under the race detector
	# Else every process that ends sleeps a second first, and the tests start hundreds.
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./... | grep -v /test/)

.PHONY: e2e
e2e: setup build ## only the end-to-end tests: the program as a user runs it
	scripts/test ./test/...

.PHONY: lint
lint: ## gofmt, vet, golangci-lint, staticcheck; known vulnerabilities when the database can be reached
	scripts/lint

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s); FUZZ=REGEXP: only these
	scripts/fuzz $(FUZZTIME) $(if $(FUZZ),'$(FUZZ)')

.PHONY: bench
bench: build ## layerfs beside its peers, in 5 minutes (FULL=1: in 30); BENCHFLAGS='-json FILE'
	$(GO) run -buildvcs=false ./test/e2e/bench $(BENCHFLAGS)

.PHONY: bench-go
bench-go: ## the packages' own benchmarks, BENCHTIME (1s) each
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem ./...

.PHONY: demo
demo: ## the main job on a real image, as a plain user
	scripts/demo

.PHONY: check
check: lint test race ## what must pass before a change is proposed

.PHONY: install
install: build ## bin/layerfs to PREFIX/bin (/usr/local), with shell completion
	install -D -m 0755 bin/layerfs '$(DESTDIR)$(PREFIX)/bin/layerfs'
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	bin/layerfs completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/layerfs'
	bin/layerfs completion zsh >'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_layerfs'
	bin/layerfs completion fish >'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/layerfs.fish'

.PHONY: clean
clean: ## remove bin/ and dist/
	rm -rf bin dist
