#!/usr/bin/env bash
# Runs each fuzz target for a short while (FUZZ_SECONDS, default 30), from the seeds under fuzz/corpus.
# Arguments are names of targets, all by default. Works with stable Rust; see fuzz/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup-test.sh fuzz

cd fuzz
# Only findings and inputs that reached something new are written, and not among the seeds.
grown=${CARGO_TARGET_DIR:-target}/corpus
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
cargo fuzz build --sanitizer none
for target in "${targets[@]}"; do
    echo "--- $target"
    # libFuzzer stops where a folder is missing.
    mkdir -p "$grown/$target" "corpus/$target"
    cargo fuzz run --sanitizer none "$target" "$grown/$target" "corpus/$target" -- \
        -dict=ssh.dict -max_total_time="${FUZZ_SECONDS:-30}" -rss_limit_mb=1024 -timeout=10 \
        -print_final_stats=1 2>"$grown/$target.log" || {
        tail -n 40 "$grown/$target.log" >&2
        exit 1
    }
    grep -E '^stat::(number_of_executed_units|new_units_added|peak_rss_mb)' "$grown/$target.log"
done
