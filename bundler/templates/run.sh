#!/bin/sh
# Runs a published script like run.py, on nodes without Python 3.8 or newer: with the Python of the publication, whose
# archive is verified before it is unpacked once into the cache. Options are those of run.py.
# `publish-index` wrote this file. It needs a POSIX shell, tar with gzip, and sha256sum.
set -eu

unset CDPATH
here=$(cd -- "$(dirname -- "$0")" > /dev/null && pwd)
# A copy elsewhere, which nobody else can write to, names the publication.
publication=${BUNDLER_PUBLICATION:-$here}
if [ ! -f "$here/run.py" ]; then
    echo "error: run.py is not next to $0" >&2
    echo "hint: start run.sh in the folder of the publication, not through a link" >&2
    exit 1
fi
for python in python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2> /dev/null; then
        exec "$python" "$here/run.py" "$@"
    fi
done

fail() {
    echo "error: node $(uname -n): $1" >&2
    echo "hint: $2" >&2
    exit 1
}

machine=$(uname -m)
libc=$(getconf GNU_LIBC_VERSION 2> /dev/null) || libc=""
case $libc in
    glibc*) minor=${libc#glibc 2.} && minor=${minor%%.*} && libc=glibc ;;
    *) libc=musl && minor=2 ;;
esac

# System, machine, C library and its oldest minor version, SHA-256 and path of each Python, the best first.
pythons="\
@PYTHONS@"

sha256=""
while read -r its_machine its_libc its_minor its_sha256 its_path; do
    if [ "$its_machine" = "$machine" ] && [ "$its_libc" = "$libc" ] && [ "$its_minor" -le "$minor" ]; then
        sha256=$its_sha256 && path=$its_path
        break
    fi
done << END
$pythons
END
if [ "$(uname -s)" != Linux ] || [ -z "$sha256" ]; then
    fail "there is no Python 3.8 or newer, and the publication includes none for this node" \
        "install Python here, or bundle the script with --include-python"
fi

cache=${UV_CACHE_DIR:-${TMPDIR:-/tmp}/bundler-uv-cache-$(id -u)}
is_next=""
for word in "$@"; do
    [ -z "$is_next" ] || cache=$word
    is_next=""
    case $word in
        --cache) is_next=yes ;;
        --cache=*) cache=${word#--cache=} ;;
        -- | --python) break ;;
    esac
done

# The same folder as run.py uses, so that the Python is unpacked once. Only this user may write there.
[ -d "$cache" ] || (umask 077 && mkdir -p "$cache") || fail "cannot create the uv cache $cache" "use --cache DIR"
if [ -n "$(find "$cache" -prune \( ! -user "$(id -u)" -o -perm -020 -o -perm -002 \))" ]; then
    [ -n "$(find "$cache" -prune \( -user 0 -o -user "$(id -u)" -o -perm -1000 \))" ] ||
        fail "the uv cache $cache belongs to another user" "use --cache DIR"
    cache=$cache/user-$(id -u)
    [ -d "$cache" ] || mkdir -m 700 "$cache" || fail "cannot create $cache" "use --cache DIR"
    [ -z "$(find "$cache" -prune \( ! -user "$(id -u)" -o -perm -020 -o -perm -002 \))" ] ||
        fail "the uv cache $cache belongs to another user" "use --cache DIR"
fi
place=$cache/bundler/$(printf %.16s "$sha256")
mkdir -p "$cache/bundler"
if [ ! -d "$place" ] && ! mkdir "$place.turn.d" 2> /dev/null; then
    # Another process of this node unpacks it, unless it was killed.
    waited=0
    while [ ! -d "$place" ] && [ "$waited" -lt 20 ]; do
        sleep 1
        waited=$((waited + 1))
    done
fi
if [ ! -d "$place" ]; then
    scratch=$(mktemp -d "$cache/bundler/.unpacking-XXXXXX")
    trap 'rm -rf "$scratch" "$place.turn.d"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    cp "$publication/$path" "$scratch/python.tar.gz" || fail "cannot read $publication/$path" "ask whether the store is mounted here"
    echo "$sha256  $scratch/python.tar.gz" | sha256sum -c - > /dev/null 2>&1 ||
        fail "$publication/$path was changed after it was published" "ask the owner of the store why, and publish it again"
    mkdir "$scratch/contents"
    tar -xzf "$scratch/python.tar.gz" -C "$scratch/contents" || fail "$cache has no room" "use --cache DIR"
    # Another job may have been faster.
    mv "$scratch/contents" "$place" 2> /dev/null || [ -d "$place" ]
    rm -rf "$scratch" "$place/contents" "$place.turn.d"
    trap - EXIT INT TERM HUP
fi
export LD_LIBRARY_PATH="$place/python/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$place/python/bin/python3" "$here/run.py" "$@"
