#!/usr/bin/env bash
# Formatting, lints, documentation, shell scripts, dependencies. Optional tools are used where they are.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo fmt --manifest-path interop/Cargo.toml --check
cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
bash -n scripts/*.sh .ci/run
python3 -m py_compile benches/*.py crates/testkit/tests/e2e/clients/*.py
if command -v shellcheck >/dev/null; then
    shellcheck scripts/*.sh .ci/run
else
    echo "shellcheck is not installed: skipped"
fi
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --workspace --log-level error check
else
    echo "cargo-deny is not installed: skipped (cargo install cargo-deny)"
fi
