#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the packages that building and testing need, on Debian 12 and its like. Says what it installs; does
# nothing where nothing is missing. RabbitMQ and Prometheus are installed for the tests, which start their own: the
# services that come with them are neither started nor enabled. With --build only what building and the demo need; with
# --bench, also what `make bench` compares with, and the services of those packages are treated alike.
set -eu

# What building needs, what the demo needs, and what tests need.
packages="
gcc make libc6-dev binutils pkg-config
librabbitmq-dev libev-dev libsqlite3-dev libcjson-dev libinih-dev libmicrohttpd-dev libcurl4-openssl-dev libssl-dev libncurses-dev
python3 curl procps util-linux
"
testing="
libcmocka-dev rabbitmq-server amqp-tools tmux gnuplot-nox
python3-pika python3-pytest python3-pytest-xdist
prometheus python3-prometheus-client
"
# What comes to life by itself when it is installed, and the packages that bring it.
services="rabbitmq-server.service epmd.service epmd.socket prometheus.service"
lively="rabbitmq-server prometheus"

case "${1-}" in
"") packages="$packages $testing" ;;
--build) ;;
--bench)
    # bench/peers: other job queues.
    packages="$packages $testing
celery python3-sqlalchemy
gearman-job-server
beanstalkd
"
    services="$services gearman-job-server.service beanstalkd.service beanstalkd.socket"
    lively="$lively gearman-job-server beanstalkd"
    ;;
*)
    echo "usage: deps.sh [--build | --bench]" >&2
    exit 2
    ;;
esac

missing_of() {
    # shellcheck disable=SC2086
    have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
        sed -n 's/^installed //p' | tr '\n' ' ')
    for package in $packages; do
        case " $have " in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# shellcheck disable=SC2086
say_all() {
    echo "  "$packages
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "deps: this is no Debian; install what these packages of Debian 12 hold, and go on with make:" >&2
    say_all >&2
    exit 1
fi

missing=$(missing_of)
if [ -z "$missing" ]; then
    echo "deps: nothing is missing"
    exit 0
fi
echo "deps: installing $missing"

if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then
        echo "deps: that needs root, asking sudo"
        exec sudo -- sh "$0" "$@"
    fi
    echo "deps: that needs root; run as root: apt-get install $missing" >&2
    exit 1
fi

# A policy of the machine's own stays as it is.
policy=/usr/sbin/policy-rc.d
made_policy=
installs_services=
for package in $lively; do
    case " $missing " in *" $package "*) installs_services=1 ;; esac
done
cleanup() {
    [ -z "$made_policy" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$installs_services" ] && [ ! -e "$policy" ]; then
    made_policy=1
    printf '#!/bin/sh\n# made by skep, tools/deps.sh, for as long as it installs\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# What was there before is the machine's, and keeps running.
had=
if [ -n "$installs_services" ] && command -v systemctl >/dev/null; then
    had=$(systemctl list-unit-files --no-legend 2>/dev/null | awk '{print $1}' | tr '\n' ' ')
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null

if [ -n "$installs_services" ] && command -v systemctl >/dev/null; then
    for service in $services; do
        case " $had " in
        *" $service "*) ;;
        *) systemctl disable --quiet "$service" 2>/dev/null || true ;;
        esac
    done
fi

missing=$(missing_of)
if [ -n "$missing" ]; then
    echo "deps: still missing: $missing" >&2
    exit 1
fi
echo "deps: done"
