#!/usr/bin/env bash
# The same messages to OpenSSH and to russh, directly and through our relay: see interop/tests/differential.
# Arguments go to the test runner. INTEROP_SEEDS=1000..1400 plays other seeds than the usual ones.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup-test.sh demo
# The workspace's own target folder: what both need is compiled once.
cargo test --locked --manifest-path interop/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}" \
    --test differential -- "$@"
