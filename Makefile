# The commands of this project; each is a script that can be read and run by itself.

.DEFAULT_GOAL := help
.PHONY: help build test interop demo bench bench-log bench-search soak soak-kills lint fuzz-short deb clean

help: ## Lists the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

build: ## Builds bartizand and bartizan, optimized
	cargo build --release --locked --package bartizand --package bartizan

test: ## Runs all tests; first installs the stock SSH clients they need, saying which
	@scripts/test.sh

interop: ## Random messages to OpenSSH and russh, directly and through the relay: the same must come back
	@scripts/interop.sh

demo: ## Shows what it does in two minutes and leaves nothing behind. KEEP=1 lets you go on by hand
	@scripts/demo.sh

bench: build ## Measures against OpenSSH, side by side. BENCH="--only bulk --rounds 3" narrows it
	@python3 benches/bench.py $(BENCH)

bench-log: ## Measures the audit log with EVENTS (10,000,000) events in FOLDER, which stays, and seeking in a recording
	@mkdir -p $(or $(FOLDER),target/bench-log)
	@cargo run --release --locked --quiet --package bartizan-audit --example append_throughput -- $(or $(FOLDER),target/bench-log)
	@cargo run --release --locked --quiet --package bartizan-audit --example large_log -- $(or $(FOLDER),target/bench-log)/log $(or $(EVENTS),10000000)
	@cargo run --release --locked --quiet --package bartizan-record --example seek

bench-search: ## Measures searches over EVENTS (10,000,000) events in FOLDER, which stays
	@cargo run --release --locked --quiet --package bartizan-store --example search_large -- $(or $(FOLDER),target/bench-search) $(or $(EVENTS),10000000)

soak: build ## 100 transfers of 128 MiB each way, and 1,000 short sessions with the memory watched
	@cargo build --release --locked --quiet --package bartizan-ssh --examples
	@python3 benches/bench.py --only soak $(BENCH)

soak-kills: ## SIGKILL at 200 random moments under load, then everything must be there. KILLS=20 takes fewer
	@cargo build --package bartizand --package bartizan
	@BARTIZAN_KILLS=$${KILLS:-200} cargo test --package bartizan-testkit --test e2e -- --nocapture kills

lint: ## Formatting, lints, documentation, dependencies
	@scripts/lint.sh

fuzz-short: ## Runs each fuzz target for FUZZ_SECONDS (30); first installs cargo-fuzz, saying so
	@scripts/fuzz-short.sh

deb: ## Builds the Debian package; first installs cargo-deb, saying so
	@scripts/deb.sh

clean: ## Removes what was built
	cargo clean
