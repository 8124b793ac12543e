#!/bin/sh
# {name} {version} for {platform}, with its own Python.
#
#   sh FILE DIR         install it in DIR; the commands are then in DIR/bin
#   sh FILE --verify    compare the contents of this file with their digest
#
# Needs a shell, tar, gzip and a program for SHA-256; neither root nor Python. To remove it, delete DIR.
# One compound command, so that a file that ends too early is a syntax error.
{
set -eu

main() {
    version='{name} {version}'
    platform='{platform}'
    sha256='{sha256}'
    file=$1
    shift
    case "${1-}" in
        -h | --help) usage ;;
        --verify) [ $# = 1 ] || wrong; verify; echo "$file: verified" ;;
        '' | -*) wrong ;;
        *) [ $# = 1 ] || wrong; verify; install_to "$1" ;;
    esac
}

usage() {
    echo "Usage: sh $file DIR        install $version in DIR, with commands in DIR/bin"
    echo "       sh $file --verify   compare the contents of this file with their digest"
}

wrong() {
    usage >&2
    exit 2
}

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

content() {
    tail -c +{offset} "$file"
}

digest() {
    if command -v sha256sum > /dev/null; then sha256sum
    elif command -v shasum > /dev/null; then shasum -a 256
    elif command -v openssl > /dev/null; then openssl dgst -sha256 -r
    else fail "sha256sum, shasum and openssl are missing" "install one of them"
    fi
}

verify() {
    sum=$(content | digest) || exit 1
    [ "${sum%% *}" = "$sha256" ] || fail "$file is damaged" "copy it again"
}

install_to() {
    case "$1" in
        /*) dir=$1 ;;
        *) dir=$(pwd)/$1 ;;
    esac
    dir=${dir%/}
    if [ -e "$dir" ] && [ ! -f "$dir/.hps-bundler" ] && [ "$(ls -A "$dir")" ]; then
        fail "$dir exists and is not an installation of $version" "choose a new folder"
    fi
    # Beside the folder, so that it appears completely or not at all; /tmp may be noexec.
    partial=$dir.bundler-new
    old=$dir.bundler-old
    rm -rf "$partial" "$old"
    mkdir -p "$partial/bin"
    trap 'rm -rf "$partial"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    content | tar -xzf - -C "$partial"
    for command in {commands}; do
        write_command "$command" > "$partial/bin/$command"
        chmod 755 "$partial/bin/$command"
    done
    echo "$version $platform" > "$partial/.hps-bundler"
    "$partial/python/bin/python3" -I -c 'import bundler' || fail "the Python in $dir does not start" \
        "the tool is for $platform, this machine is $(uname -m); or choose a folder that is not mounted noexec"
    # With the final path in tracebacks, and complete, since the folder may be read-only for its users.
    "$partial/python/bin/python3" -I -m compileall -q -s "$partial" -p "$dir" "$partial/python/lib" > /dev/null 2>&1 || :
    if [ -e "$dir" ]; then mv "$dir" "$old"; fi
    mv "$partial" "$dir"
    rm -rf "$old"
    echo "Installed $version in $dir. To remove it: rm -rf $dir" >&2
    echo "$dir/bin"
}

write_command() {
    case "$1" in
        submit-jobs) function=main_submit_jobs ;;
        publish-index) function=main_publish_index ;;
        *) function=main ;;
    esac
    echo '#!/bin/sh'
    echo 'here=$(dirname "$(readlink -f "$0")")'
    echo "code=\"import sys; sys.argv[0] = '$1'; from bundler.cli import $function as main; main()\""
    echo 'exec "$here/../python/bin/python3" -I -c "$code" "$@"'
}

main "$0" "$@"
exit
}
