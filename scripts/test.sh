#!/usr/bin/env bash
# All tests: sets up what they need, builds once, runs them. Arguments go to the test runner as filters.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup-test.sh test

# One build for the programs and the tests, so that dependencies are compiled once.
cargo build --workspace --bins --tests
# The end-to-end tests start these.
target=${CARGO_TARGET_DIR:-target}
BARTIZAN_BIN_DIR=$(cd "$target/debug" && pwd)
export BARTIZAN_BIN_DIR

# Filters are for the workspace's tests; these are few and belong together.
[ $# -gt 0 ] || scripts/interop.sh

# Peers of other makes are ignored by default, because `cargo test` alone must need nothing installed.
if cargo nextest --version >/dev/null 2>&1; then
    cargo test --quiet --workspace --doc
    cargo nextest run --workspace --run-ignored only -E 'test(other_implementations)'
    cargo nextest run --workspace --no-fail-fast "$@"
else
    cargo test --workspace --test integration other_implementations -- --ignored
    cargo test --workspace --no-fail-fast "$@"
fi
