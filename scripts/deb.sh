#!/usr/bin/env bash
# Builds the Debian package and looks at the result: target/debian/bartizan_VERSION_ARCH.deb.
#
#   scripts/deb.sh            builds optimized programs first
#   PROFILE=debug scripts/deb.sh   takes the programs of target/debug as they are: to try the packaging itself
#
# Installs cargo-deb with Cargo where it is missing, saying so.
set -euo pipefail
cd "$(dirname "$0")/.."

# The version that this was last run with.
cargo_deb=3.8.0
profile=${PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
tools=$target/tools/bin
PATH=$PWD/$tools:$tools:$PATH

if ! cargo deb --version >/dev/null 2>&1; then
    echo "installing cargo-deb $cargo_deb with cargo, into $target/tools"
    cargo install --locked --root "$target/tools" --version "$cargo_deb" cargo-deb
fi
if [ "$profile" = release ]; then
    cargo build --release --locked --package bartizand --package bartizan
fi

# What is made by the programs themselves.
made=$target/package
rm -rf "$made"
mkdir -p "$made/man" "$made/completions" "$made/bin"
for program in bartizand bartizan; do
    install -m 755 "$target/$profile/$program" "$made/bin/$program"
    # Names of functions stay, for a panic's trace; the lines take five times as much as the program.
    strip --strip-debug "$made/bin/$program"
    "$made/bin/$program" man --output "$made/man"
done
gzip -9n "$made"/man/*.1
for shell in bash zsh fish; do
    "$made/bin/bartizan" completions "$shell" >"$made/completions/bartizan.$shell"
done
# cargo-deb looks for assets beside the manifest; this is the one place that does not depend on the target folder.
if [ ! "$made" -ef target/package ]; then
    mkdir -p target
    rm -rf target/package
    cp -r "$made" target/package
fi

package=$(cargo deb --package bartizand --no-build --output "$target/debian/" | tail -n 1)
echo "$package"
dpkg-deb --info "$package"
contents=$(dpkg-deb --contents "$package")
echo "$contents"
for path in ./usr/bin/bartizand ./usr/bin/bartizan ./usr/lib/systemd/system/bartizan.service \
    ./usr/share/man/man1/bartizand.1.gz ./usr/share/man/man1/bartizan-target-test.1.gz \
    ./usr/share/bash-completion/completions/bartizan ./usr/share/doc/bartizan/copyright; do
    grep -q " $path\$" <<<"$contents" || {
        echo "error: the package lacks $path" >&2
        exit 1
    }
done
if command -v lintian >/dev/null; then
    lintian --fail-on error "$package"
else
    echo "lintian is not installed: skipped"
fi
