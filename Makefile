# "make test" runs every test that this machine can run; what needs root or a
# program that is not installed is skipped by name. REQUIRE=all turns skips into
# failures.
GO ?= go
REQUIRE ?=

.PHONY: all test lint build cross

all: build lint test

build:
	$(GO) build ./...

test:
	NICSIM_REQUIRE=$(REQUIRE) $(GO) test ./...

lint:
	test -z "$$(gofmt -l .)" || { gofmt -l .; false; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) fix -diff ./...

# What is pure builds everywhere; the packages that are not are built for Linux.
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

cross:
	@for p in $(PLATFORMS); do \
		echo "build $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) build ./... || exit 1; \
	done
