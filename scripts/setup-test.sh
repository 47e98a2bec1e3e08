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
    psql=postgresql-client
    strace=strace
    "/usr/lib/postgresql/*/bin/initdb=postgresql"
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
    /usr/share/gocode/src/github.com/pkg/sftp=golang-github-pkg-sftp-dev
    rclone=rclone
    sshfs=sshfs
    fusermount3=fuse3
    ansible=ansible-core
    curl=curl
    node=nodejs
    npm=npm
    dpkg-deb=dpkg
    "/usr/lib/*/faketime/libfaketime.so.1=libfaketime"
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
    # A pattern stands for any version.
    compgen -G "$thing" >/dev/null || command -v "$thing" >/dev/null || missing+=("${pair#*=}")
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

    node=${CARGO_TARGET_DIR:-target}/test-node
    if ! cmp -s scripts/test-node.json "$node/package.json"; then
        echo "This installs into $node: $(grep -o '"ssh2": *"[^"]*"' scripts/test-node.json)"
        rm -rf "$node"
        mkdir -p "$node"
        # Without its native part, which it can do without and which needs a compiler.
        cp scripts/test-node.json "$node/wanted.json"
        (cd "$node" && cp wanted.json package.json && npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional) || {
            rm -f "$node/package.json"
            exit 1
        }
    fi

    # A newer OpenSSH client beside the system's, from the backports of the same mirror, touching nothing of the system.
    newer=$(mkdir -p "${CARGO_TARGET_DIR:-target}/test-openssh" && cd "${CARGO_TARGET_DIR:-target}/test-openssh" && pwd)
    if ! [ -x "$newer/usr/bin/ssh" ]; then
        rm -f "$newer/unavailable"
        # shellcheck disable=SC2016  # apt fills these in
        mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
            'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
            awk '$2 !~ /-/ { print $1 " " $2 "-backports"; exit }')
        echo "This unpacks into $newer: openssh-client of ${mirror#* }"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror main" >"$newer/sources.list"
        mkdir -p "$newer/lists/partial"
        apt=(apt-get -q -o "Dir::Etc::sourcelist=$newer/sources.list" -o Dir::Etc::sourceparts=/dev/null
            -o "Dir::State::lists=$newer/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
            -o APT::Sandbox::User=)
        (cd "$newer" && "${apt[@]}" update && "${apt[@]}" download openssh-client && dpkg-deb -x openssh-client_*.deb .) || {
            echo "No newer OpenSSH can be had here: its tests are skipped." >&2
            touch "$newer/unavailable"
        }
    fi
fi

if [ "$1" = fuzz ] && ! cargo fuzz --version >/dev/null 2>&1; then
    echo "This installs with cargo: cargo-fuzz $cargo_fuzz"
    cargo install --locked "cargo-fuzz@$cargo_fuzz"
fi
