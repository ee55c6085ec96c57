#!/bin/sh
# SPDX-License-Identifier: MIT
# Holds the table of processes in docs/ARCHITECTURE.md: which libraries no executable of a role may be linked
# with. The linker's word is better than a promise.
#   tools/check-linkage.sh DIRECTORY
set -eu
dir=$1
failed=0

without() { # program libraries...
    program=$1
    shift
    [ -x "$dir/$program" ] || {
        echo "check-linkage: there is no $dir/$program" >&2
        failed=1
        return
    }
    needed=$(readelf -d "$dir/$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in "$@"; do
        case $needed in
        *"$library"*)
            echo "check-linkage: $program is linked with $library, which is not its business" >&2
            failed=1
            ;;
        esac
    done
}

without skepd librabbitmq libsqlite3 libssl libmicrohttpd libcurl libncurses
without skep-worker libsqlite3 libmicrohttpd libcurl libncurses
without skep-store librabbitmq libssl libmicrohttpd libcurl libncurses
without skep-courier libsqlite3 libmicrohttpd libcurl libncurses
without skep-gateway librabbitmq libcurl libncurses
without skep-sim librabbitmq libsqlite3 libssl libmicrohttpd libcurl libncurses libinih
without skep librabbitmq libsqlite3 libmicrohttpd libev

[ $failed -eq 0 ] && echo "check-linkage: no executable is linked with what it must not touch"
exit $failed
