# "make test" runs every test that this machine can run; what needs root, a program
# that is not installed or a lab that is not set up is skipped by name. REQUIRE=all
# turns skips into failures. Tests that boot guests come after the others: both would
# disturb each other. Guests mostly wait, so that three scripts run at a time.
# "make test-long" runs what takes too long for every change.
GO ?= go
REQUIRE ?=

.PHONY: all test test-long lint build cross

all: build lint test

build:
	$(GO) build ./...

test:
	NICSIM_REQUIRE=$(REQUIRE) $(GO) test -skip '^TestGuest' ./...
	NICSIM_REQUIRE=$(REQUIRE) $(GO) test -run '^TestGuest' -parallel 3 -count=1 -timeout 60m ./scenarios/... ./tapbridge/...

test-long:
	$(GO) run ./cmd/nicsim run $(if $(REQUIRE),-require) testdata/long
	$(GO) run ./cmd/nicsim bench guest guest-uml guest-boot

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
