#!/bin/sh
# {name}: a Python script with everything that it needs, for {platform}.
#
#   sh FILE [ARGUMENT]...      run it
#   sh FILE --verify-file      only compare the contents of this file with their digest
#
# Unpacks itself once for each user into BUNDLER_RUNNABLE_CACHE, or ~/.cache/bundler-runnable. Needs a shell, tar, gzip
# and a program for SHA-256. One compound command, so that a file that ends too early is a syntax error.
{
set -eu

unset CDPATH

fail() {
    printf '%s\n' "error: $1" "hint: $2" >&2
    exit 1
}

{verify}

# Whether only this user can have written to the folder $1.
is_private() {
    [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] &&
        [ -z "$(find "$1" -prune \( -perm -020 -o -perm -002 \))" ]
}

unpack() {
    (umask 077 && mkdir -p "$cache") 2> /dev/null || fail "$cache cannot be created" "set BUNDLER_RUNNABLE_CACHE"
    # It may be a link to a larger disk.
    cache=$(cd -- "$cache" > /dev/null && pwd -P)
    is_private "$cache" || fail "other users can write to $cache" "set BUNDLER_RUNNABLE_CACHE to a folder of your own"
    verify
    # What killed processes left.
    find "$cache" -name '.new-*' -prune -mtime +1 -exec rm -rf {} + 2> /dev/null || :
    umask 022
    partial=$(mktemp -d "$cache/.new-XXXXXX") || fail "$cache cannot be written to" "set BUNDLER_RUNNABLE_CACHE"
    trap 'rm -rf "$partial"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    content | (cd "$partial" && tar -xzf -) 2> /dev/null || fail "$cache cannot be written to" "make room on its disk"
    # Another process may have been faster; nothing can be moved over a folder that is not empty.
    mv "$partial/python" "$cache/$name" 2> /dev/null || [ -d "$cache/$name" ]
    rm -rf "$partial" "$cache/$name/python"
    trap - EXIT INT TERM HUP
}

main() {
    sha256='{sha256}'
    case "$1" in
        -*) file=./$1 ;;
        *) file=$1 ;;
    esac
    shift
    [ -f "$file" ] || fail "cannot find the file that is running" "run it as: sh FILE"
    if [ "${1-}" = --verify-file ]; then
        verify
        printf '%s: verified\n' "$file"
        return
    fi
    cache=${BUNDLER_RUNNABLE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp/$(id -u)}/.cache}/bundler-runnable}
    name=$(printf %.16s "$sha256")
    if ! is_private "$cache/$name"; then unpack; fi
    unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
    export PYTHONNOUSERSITE=1 PATH="$cache/$name/bin:$PATH"
    case $(ls "$cache/$name/lib") in
        *libpython*.so*) export LD_LIBRARY_PATH="$cache/$name/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
    esac
    exec "$cache/$name/bin/python3" "$cache/$name/script/{script}" "$@"
}

main "$0" "$@"
exit
}
