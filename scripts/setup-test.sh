#!/usr/bin/env bash
# Installs what the demo, the tests and the fuzzers need, after saying what: stock SSH clients and servers most of all.
#
#   scripts/setup-test.sh demo   OpenSSH only
#   scripts/setup-test.sh test   all clients of the end-to-end tests
#   scripts/setup-test.sh fuzz   a C++ compiler and cargo-fuzz
#
# What is there already is left alone. Needs apt, and root or sudo where something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# What must exist, and the Debian package that brings it.
demo=(
    cc=gcc
    /usr/include/stdio.h=libc6-dev
    ssh=openssh-client
    /usr/sbin/sshd=openssh-server
)
test=(
    "${demo[@]}"
    /usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so=openssh-tests
    rsync=rsync
    git=git
    plink=putty-tools
    dbclient=dropbear-bin
    dropbearconvert=dropbear-bin
    zstd=zstd
    xauth=xauth
    script=bsdutils
    scriptreplay=bsdutils
    sha256sum=coreutils
    python3=python3
    go=golang-go
    /usr/share/gocode/src/golang.org/x/crypto/ssh=golang-golang-x-crypto-dev
)

fuzz=(
    cc=gcc
    "c++=g++"
    /usr/include/stdio.h=libc6-dev
)
# The version that scripts/fuzz-short.sh was last run with.
cargo_fuzz=0.13.2

case ${1:-} in
demo) wanted=("${demo[@]}") ;;
test) wanted=("${test[@]}") ;;
fuzz) wanted=("${fuzz[@]}") ;;
*)
    echo "usage: scripts/setup-test.sh demo|test|fuzz" >&2
    exit 2
    ;;
esac

command -v cargo >/dev/null || {
    echo "Rust is missing: see https://rustup.rs (version 1.95 or newer)." >&2
    exit 1
}

missing=()
for pair in "${wanted[@]}"; do
    thing=${pair%%=*}
    [ -e "$thing" ] || command -v "$thing" >/dev/null || missing+=("${pair#*=}")
done
# The standard library's installer for virtual environments is a package of its own.
if [ "$1" = test ] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    echo "This installs with apt: ${missing[*]}"
    command -v apt-get >/dev/null || {
        echo "There is no apt here. Install the same by the means of your system and try again." >&2
        exit 1
    }
    root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "That needs root or sudo." >&2
            exit 1
        }
        root=(sudo)
    fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

if [ "$1" = test ]; then
    python=${CARGO_TARGET_DIR:-target}/test-python
    if ! cmp -s scripts/test-python.txt "$python/installed.txt"; then
        echo "This installs into $python: $(grep -v '^#' scripts/test-python.txt | tr '\n' ' ')"
        python3 -m venv --clear "$python"
        "$python/bin/pip" install --quiet --disable-pip-version-check -r scripts/test-python.txt
        cp scripts/test-python.txt "$python/installed.txt"
    fi
fi

if [ "$1" = fuzz ] && ! cargo fuzz --version >/dev/null 2>&1; then
    echo "This installs with cargo: cargo-fuzz $cargo_fuzz"
    cargo install --locked "cargo-fuzz@$cargo_fuzz"
fi
