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
python3 -m py_compile benches/*.py crates/testkit/tests/e2e/{clients,servers}/*.py
if command -v shellcheck >/dev/null; then
    shellcheck scripts/*.sh .ci/run
else
    echo "shellcheck is not installed: skipped"
fi
if command -v systemd-analyze >/dev/null; then
    # Exposure of 2.0 at most, of 10; docs/packages.md tells what is left.
    systemd-analyze security --offline=true --threshold=20 --no-pager packaging/bartizan.service | tail -n 1
else
    echo "systemd-analyze is not installed: skipped"
fi
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --workspace --log-level error check
else
    echo "cargo-deny is not installed: skipped (cargo install cargo-deny)"
fi
