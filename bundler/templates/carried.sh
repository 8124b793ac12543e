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

unset CDPATH

main() {
    version='{name} {version}'
    platform='{platform}'
    sha256='{sha256}'
    case "$1" in
        -*) file=./$1 ;;
        *) file=$1 ;;
    esac
    shift
    [ -f "$file" ] || fail "cannot find the file that is running" "run it as: sh FILE DIR"
    case "${1-}" in
        -h | --help) usage ;;
        --verify)
            [ $# = 1 ] || wrong
            verify
            printf '%s: verified\n' "$file"
            ;;
        '' | -*) wrong ;;
        *)
            [ $# = 1 ] || wrong
            verify
            install_to "$1"
            ;;
    esac
}

usage() {
    printf '%s\n' "Usage: sh $file DIR        install $version in DIR, with commands in DIR/bin" \
        "       sh $file --verify   compare the contents of this file with their digest"
}

wrong() {
    usage >&2
    exit 2
}

fail() {
    printf '%s\n' "error: $1" "hint: $2" >&2
    exit 1
}

# Print a path as a word for the shell.
quoted() {
    rest=$1
    word=
    while :; do
        case "$rest" in
            *\'*) ;;
            *) break ;;
        esac
        word=$word${rest%%\'*}"'\\''"
        rest=${rest#*\'}
    done
    printf "'%s'" "$word$rest"
}

{verify}

# Set dir to the path of $1 without links, and create its parent; created is the topmost folder that this creates.
resolve() {
    dir=$1
    while :; do
        case "$dir" in
            ?*/) dir=${dir%/} ;;
            *) break ;;
        esac
    done
    created=
    if [ -d "$dir" ]; then
        dir=$(cd "$dir" && pwd -P)
        [ "$dir" != / ] || fail "the tool cannot be installed in /" "choose a folder for it"
        return
    fi
    if [ -e "$dir" ] || [ -L "$dir" ]; then fail "$dir exists and is not a folder" "choose a new folder"; fi
    parent=$(dirname "$dir")
    missing=$parent
    while [ ! -e "$missing" ]; do
        created=$missing
        missing=$(dirname "$missing")
    done
    mkdir -p "$parent" 2> /dev/null || fail "$parent cannot be created" "choose a folder where you may write"
    dir=$(cd "$parent" && pwd -P)/$(basename "$dir")
}

# Print what identifies the process $1, or nothing if there is none: numbers are used again, with other commands.
identity() {
    kill -0 "$1" 2> /dev/null || return 0
    if [ -r "/proc/$1/cmdline" ]; then sum=$(digest < "/proc/$1/cmdline")
    else sum=$(ps -o args= -p "$1" 2> /dev/null | digest)
    fi
    printf '%s\n' "$1 ${sum%% *}"
}

# Remove what an unfinished installation left, and bring back what it had moved away.
clean_up() {
    if [ -e "$partial" ]; then
        if [ -f "$partial/.pid" ]; then
            # Empty if that installation was killed before it wrote it.
            owner=$(cat "$partial/.pid")
            pid=${owner%% *}
            if [ "$pid" ] && [ "$pid" != $$ ] && [ "$(identity "$pid")" = "$owner" ]; then
                fail "another installation in $dir is running" "wait until it has ended"
            fi
            rm -rf "$partial"
        else
            rmdir "$partial" 2> /dev/null || fail "$partial is in the way" "move it away"
        fi
    fi
    if [ -e "$old" ]; then
        rmdir "$old" 2> /dev/null || :
    fi
    if [ -e "$old" ]; then
        [ -f "$old/.hps-bundler" ] || fail "$old is in the way" "move it away"
        if [ -e "$dir" ]; then rm -rf "$old"; else mv "$old" "$dir"; fi
    fi
}

give_up() {
    rm -rf "$partial"
    if [ -f "$old/.hps-bundler" ] && [ ! -e "$dir" ]; then mv "$old" "$dir"; fi
    if [ "$created" ] && [ ! -e "$dir" ]; then
        while rmdir "$parent" 2> /dev/null && [ "$parent" != "$created" ]; do parent=$(dirname "$parent"); done
    fi
}

install_to() {
    # What root installs is for everybody, whatever its umask is.
    if [ "$(id -u 2> /dev/null)" = 0 ]; then umask 022; fi
    resolve "$1"
    # Next to the folder, so that it appears completely or not at all; /tmp may be noexec.
    partial=$dir.bundler-new
    old=$dir.bundler-old
    clean_up
    if [ -e "$dir" ] && [ ! -f "$dir/.hps-bundler" ] && [ "$(ls -A "$dir")" ]; then
        fail "$dir exists and is not an installation of $version" "choose a new folder"
    fi
    mkdir "$partial" 2> /dev/null || fail "$partial cannot be created" "choose a folder where you may write"
    trap give_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    identity $$ > "$partial/.pid" || fail "$partial cannot be written to" "make room on its disk"
    content | (cd "$partial" && tar -xzf -) 2> /dev/null || fail "$dir cannot be written to" "make room on its disk"
    # Some Pythons have most of themselves in a library, which the loader would look for at its original path.
    needs_library=
    case $(ls "$partial/python/lib" 2> /dev/null) in
        *libpython*.so*) needs_library=yes ;;
    esac
    mkdir "$partial/bin"
    for command in {commands}; do
        write_command "$command" > "$partial/bin/$command"
        chmod 755 "$partial/bin/$command"
    done
    echo "$version $platform" > "$partial/.hps-bundler"
    sh "$partial/bin/bundler" --version > /dev/null || fail "the Python in $dir does not start" \
        "the tool is for $platform, this machine is $(uname -m); or choose a folder that is not mounted noexec"
    # With the final path in tracebacks, and complete, since the folder may be read-only for its users.
    unused='/(ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo|unittest)/'
    if [ "$needs_library" ]; then export LD_LIBRARY_PATH="$partial/python/lib"; fi
    "$partial/python/bin/python3" -I -m compileall -q -x "$unused" -s "$partial" -p "$dir" "$partial/python/lib" \
        > /dev/null 2>&1 || :
    trap '' INT TERM HUP
    # An empty folder is in the way, and nothing to bring back.
    rmdir "$dir" 2> /dev/null || :
    if [ -e "$dir" ]; then mv "$dir" "$old"; fi
    mv "$partial" "$dir"
    rm -rf "$dir/.pid" "$old"
    trap - EXIT
    printf '%s\n' "Installed $version in $dir. To remove it: rm -rf $(quoted "$dir")" >&2
    printf '%s\n' "$dir/bin"
}

write_command() {
    case "$1" in
        submit-jobs) function=main_submit_jobs ;;
        publish-index) function=main_publish_index ;;
        *) function=main ;;
    esac
    printf '%s\n' '#!/bin/sh' 'here=$(dirname "$(readlink -f "$0")")'
    if [ "$needs_library" ]; then
        printf '%s\n' 'LD_LIBRARY_PATH=$here/../python/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}' 'export LD_LIBRARY_PATH'
    fi
    printf '%s\n' \
        "code=\"import sys; sys.argv[0] = '$1'; from bundler.cli import $function as main; main()\"" \
        'exec "$here/../python/bin/python3" -I -c "$code" "$@"'
}

main "$0" "$@"
exit
}
