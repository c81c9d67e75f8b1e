#!/usr/bin/env bash
# Builds target/tollgate.wasm, prints its size, and fails if it is larger than WASM_LIMIT bytes.
#
# WASM_TOOLCHAIN chooses the compiler; unset, the first that is possible:
#   installed   the Rust in PATH, which has the standard library for wasm32-unknown-unknown
#   rustup      the same, after `rustup target add`
#   debian      Debian's own Rust, which builds that standard library from source; needs root once
set -euo pipefail

target=wasm32-unknown-unknown
cargo=${CARGO:-cargo}
rustc=${RUSTC:-rustc}
scripts=$(dirname "$0")
target_dir=${CARGO_TARGET_DIR:-target}
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# They would replace the flags of .cargo/config.toml.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return
    [ "$(printf '%s\n' "$msrv" "$version" | sort -V | head -n 1)" = "$msrv" ]
}

has_target() {
    local libraries
    libraries=$("$rustc" --print target-libdir --target $target 2>/dev/null) || return
    compgen -G "$libraries/libcore-*.rlib" >/dev/null
}

add_target() {
    command -v rustup >/dev/null || return
    echo "adding the Rust target $target"
    rustup target add $target
}

# The newest of the linkers that are there.
debian_linker() {
    compgen -G '/usr/bin/wasm-ld-*' | sort -V | tail -n 1
}

debian_is_ready() {
    is_new_enough /usr/bin/rustc && [ -x /usr/bin/cargo ] && [ -n "$(debian_linker)" ] &&
        [ -e "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std" ]
}

install_debian() {
    local linker
    debian_is_ready && return
    # Debian keeps a recent Rust for its browsers, and names it so.
    linker=$(apt-cache pkgnames lld- 2>/dev/null | grep -xE 'lld-[0-9]+' | sort -V | tail -n 1 || true)
    "$scripts/apt.sh" "Rust $msrv for $target is missing" \
        rustc-web cargo-web rust-web-src "${linker:-lld}"
    debian_is_ready || {
        echo "this Debian has no Rust $msrv: please install one from https://rustup.rs" >&2
        exit 1
    }
}

choose() {
    if is_new_enough "$rustc" && command -v "$cargo" >/dev/null; then
        has_target && echo installed && return
        command -v rustup >/dev/null && echo rustup && return
    fi
    command -v apt-get >/dev/null && echo debian && return
    echo "Rust $msrv or newer is needed: please install it from https://rustup.rs" >&2
    exit 1
}

build() {
    echo "building target/tollgate.wasm"
    "$@" build --locked --package tollgate --lib --release --target $target
}

toolchain=${WASM_TOOLCHAIN:-$(choose)}
if [ "$toolchain" = rustup ] && ! add_target && [ -z "${WASM_TOOLCHAIN:-}" ]; then
    toolchain=debian
fi
case $toolchain in
installed | rustup)
    build "$cargo"
    ;;
debian)
    install_debian
    target_dir=$target_dir/debian
    linker=$(debian_linker)
    export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$target_dir
    export CARGO_UNSTABLE_BUILD_STD=std,panic_abort CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
    build /usr/bin/cargo
    ;;
*)
    echo "WASM_TOOLCHAIN=$toolchain: must be installed, rustup or debian" >&2
    exit 1
    ;;
esac

mkdir -p target
built=$target_dir/$target/release/tollgate.wasm
cmp -s "$built" target/tollgate.wasm || cp "$built" target/tollgate.wasm
size=$(wc -c <target/tollgate.wasm)
echo "target/tollgate.wasm: $size bytes, of at most ${WASM_LIMIT:?}"
if [ "$size" -gt "$WASM_LIMIT" ]; then
    echo "too large: find what made it grow, or raise WASM_LIMIT in the Makefile" >&2
    exit 1
fi
