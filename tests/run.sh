#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the suites that need whole nodes and a RabbitMQ of their own.
#   tests/run.sh scenario|crash|all [arguments of pytest]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
what=${1:-all}
[ $# -gt 0 ] && shift
case $what in
scenario | crash) set -- "$here/$what" "$@" ;;
all) set -- "$here/scenario" "$here/crash" "$@" ;;
*)
    sed -n 's/^# //p' "$0" >&2
    exit 2
    ;;
esac
exec "${PYTHON:-/usr/bin/python3}" -B -m pytest -p no:cacheprovider -q --color=no \
    -n "${SKEP_TEST_JOBS:-3}" --dist loadgroup --rootdir "$here" "$@"
