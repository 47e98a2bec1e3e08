#!/usr/bin/env bash
# Runs each fuzz target for a short while (FUZZ_SECONDS, default 30). Needs nightly Rust and cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

cargo +nightly fuzz --version >/dev/null 2>&1 || {
    echo "Fuzzing needs: rustup toolchain install nightly && cargo install cargo-fuzz" >&2
    exit 1
}
for target in $(cargo +nightly fuzz list); do
    echo "--- $target"
    cargo +nightly fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-30}" -rss_limit_mb=2048
done
