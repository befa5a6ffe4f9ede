# What a person types; the work is in scripts/ and in cargo.

# The lab's bases stay with the build, so that nothing is left elsewhere.
export SEAWALL_LAB_CACHE ?= $(CURDIR)/target/lab

.PHONY: demo demo-aws demo-patch test lint bench build deps clean-lab

# Three throwaway hosts: check, apply, check, a lock-out that undoes itself, the report.
demo: deps
	scripts/demo

# A region lost and recovered against a double of AWS on this machine; a second drill killed, and swept.
demo-aws: deps
	scripts/demo-aws

# A weekly patch run on three throwaway hosts: plan, run, one that fails and goes back, status.
demo-patch: deps
	scripts/demo-patch

# Every test, those on lab hosts included (needs root). Ends with the count.
test: deps
	scripts/test

lint:
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --all-targets --no-default-features --locked -- -D warnings
	scripts/deny

bench: deps
	scripts/bench

build:
	cargo build --release --locked

# The system packages and tools that are missing, and nothing else.
deps:
	scripts/install-deps
	scripts/test-tools

# Takes all labs down and forgets the bases that they lie on.
clean-lab:
	cargo run --quiet --locked -- lab down --all
	rm -rf "$(SEAWALL_LAB_CACHE)"
