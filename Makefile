# Silo: `make help` lists what there is to do.

VERSION    ?= 0.1.0
COMMIT     := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
PREFIX     ?= /usr/local
DESTDIR    ?=
UNITDIR    ?= /etc/systemd/system
GO         ?= go

PROGRAMS   := silo silod silo-keeper silo-agent
BINDIR     := $(DESTDIR)$(PREFIX)/bin
SHAREDIR   := $(DESTDIR)$(PREFIX)/share
LDFLAGS    := -s -w -X silo/internal/version.Version=$(VERSION) -X silo/internal/version.Commit=$(COMMIT)
# silo begins before the Go runtime, see internal/cli/early.
LDFLAGS_silo := $(if $(filter amd64,$(shell $(GO) env GOARCH)),-E silo/internal/cli/early.entry)
GOBUILD    := CGO_ENABLED=0 $(GO) build -trimpath
SUDO       := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.DEFAULT_GOAL := build
.PHONY: help run build images reproduce install uninstall test quick-test fuzz check fmt bench gen clean $(PROGRAMS)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, then put you at a shell in a container of the image core
	exec $(SUDO) bin/silo run --rm -it --name core core sh

build: $(PROGRAMS) ## compile silo, silod, silo-keeper and silo-agent into bin/

# silod has the images inside.
silod: images
$(PROGRAMS):
	@mkdir -p bin
	$(GOBUILD) -ldflags "$(LDFLAGS) $(LDFLAGS_$@)" -o bin/$@ ./cmd/$@

images: ## build the images core and nano, if their sources changed
	@tools/build-images $(VERSION)

reproduce: ## build the images twice and compare them byte by byte
	@tools/build-images $(VERSION) --twice

install: build ## install programs, systemd units and completions (PREFIX, DESTDIR, UNITDIR)
	install -d $(BINDIR) $(DESTDIR)$(UNITDIR) $(SHAREDIR)/bash-completion/completions \
		$(SHAREDIR)/zsh/site-functions $(SHAREDIR)/fish/vendor_completions.d
	install -m 0755 $(addprefix bin/,$(PROGRAMS)) $(BINDIR)
	sed 's|@BINDIR@|$(PREFIX)/bin|' dist/systemd/silo.service >$(DESTDIR)$(UNITDIR)/silo.service
	install -m 0644 dist/systemd/silo.socket $(DESTDIR)$(UNITDIR)/silo.socket
	bin/silo completion bash >$(SHAREDIR)/bash-completion/completions/silo
	bin/silo completion zsh >$(SHAREDIR)/zsh/site-functions/_silo
	bin/silo completion fish >$(SHAREDIR)/fish/vendor_completions.d/silo.fish
	chmod 0644 $(DESTDIR)$(UNITDIR)/silo.service $(SHAREDIR)/bash-completion/completions/silo \
		$(SHAREDIR)/zsh/site-functions/_silo $(SHAREDIR)/fish/vendor_completions.d/silo.fish
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		getent group silo >/dev/null || groupadd --system silo; \
		systemctl daemon-reload; \
		echo "now: systemctl enable --now silo.socket"; \
	fi

uninstall: ## remove what install put there; containers and images stay
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		systemctl disable --now silo.socket silo.service 2>/dev/null || true; \
	fi
	rm -f $(addprefix $(BINDIR)/,$(PROGRAMS)) $(DESTDIR)$(UNITDIR)/silo.service $(DESTDIR)$(UNITDIR)/silo.socket \
		$(SHAREDIR)/bash-completion/completions/silo $(SHAREDIR)/zsh/site-functions/_silo \
		$(SHAREDIR)/fish/vendor_completions.d/silo.fish
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

test: ## install what tests need (Debian packages), then run every test as root
	@$(SUDO) tools/test-deps
	@$(MAKE) --no-print-directory build
	@$(SUDO) env "PATH=$$PATH" SILO_TEST_MUST=1 SILO_VERSION=$(VERSION) tools/run-tests

quick-test: images ## run the tests that need neither root nor Debian packages
	$(GO) test ./...

fuzz: ## run every fuzz target for a while (FUZZTIME=30s each)
	@$(SUDO) env "PATH=$$PATH" tools/fuzz $(or $(FUZZTIME),30s)

check: ## formatting, vet, linters, our own rules, generated files
	@tools/check

fmt: ## lay out all Go code as check wants it
	@tools/check fmt

bench: build ## measure against the floor of the kernel; prints medians and ratios (BENCHFLAGS=-short)
	@mkdir -p bin/bench
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/bench/ ./bench ./bench/floor
	$(SUDO) bin/bench/bench $(BENCHFLAGS)

gen: ## write generated files anew: CLI reference, drawings, notices, dependency lists
	@tools/gen

clean: ## remove bin/ and the built images
	rm -rf bin images/built/*.tar.zst images/built/stamp
