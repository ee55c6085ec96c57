#!/bin/bash
# SPDX-License-Identifier: MIT
# Real work: a few hundred files are hashed by a shell script and counted by a Python script, submitted by `skep
# submit` and by other programs: over HTTP to the node, or, with a RabbitMQ of its own, by plain AMQP clients. Nothing
# is left behind, neither processes nor files.
#
#     make demo            runs it, with the embedded queue
#     make demo-rabbitmq   runs it on RabbitMQ
#     make demo KEEP=1     leaves it running, to look around, until you press Enter
set -euo pipefail
mode=${1:-embedded}

HASHED=300 FLAKY=24 COUNTED=200 BY_SHELL=8
JOBS=$((HASHED + FLAKY + COUNTED + BY_SHELL + 1))

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=/usr/bin/python3
rabbitmq=$root/tests/lib/rabbitmq.py
work='' broker='' skepd=''

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
	bold='' dim='' red='' plain=''
fi

unset AMQP_URL SKEP_SOCKET
skep() { "$root/build/bin/skep" -c "$work/skep.conf" "$@"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
prompt() { printf '\n  %s$ %s%s\n' "$dim" "$*" "$plain"; }
now() { printf '%s' "${EPOCHREALTIME/,/.}"; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

fail() {
	printf '\n%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
	[ ! -s "$work/skepd.log" ] || { echo "the last lines of skepd's log:"; tail -n 20 "$work/skepd.log"; } >&2
	exit 1
}

# Runs on every way out. skepd ends first, so that its workers leave the broker in order. A broker that is not up
# yet has nothing to put in order.
cleanup() {
	trap '' INT TERM HUP
	if [ -n "$skepd" ] && kill "$skepd" 2>/dev/null; then
		wait "$skepd" || true
	fi
	if [ -n "$broker" ] && kill -s "$([ -n "${AMQP_URL:-}" ] && echo TERM || echo KILL)" "$broker" 2>/dev/null; then
		wait "$broker" 2>/dev/null || true
	fi
	[ -z "$work" ] || rm -rf "$work"
}

# In a session of its own, as skepd: Ctrl-C is for this script, which then ends the others in order.
start_broker() {
	local began
	began=$(now)
	printf '  RabbitMQ, of its own, in a temporary directory ... '
	setsid "$python" "$rabbitmq" keep "$work/rabbitmq" --owner $$ >"$work/broker" 2>&1 &
	broker=$!
	until AMQP_URL=$(sed -n 's/^AMQP_URL=//p' "$work/broker") && [ -n "$AMQP_URL" ]; do
		kill -0 "$broker" 2>/dev/null || fail "RabbitMQ did not start: $(cat "$work/broker")"
		sleep 0.1
	done
	export AMQP_URL
	printf 'up after %s s\n' "$(since "$began")"
}

# All workers are connected, and with them the queues are there.
is_up() {
	skep pools 2>/dev/null | awk '$1 == "demo" { up = $2 == $4 } END { exit !up }'
}

start_skepd() {
	local began
	began=$(now)
	case $mode in
	embedded) printf '  skepd, with 4 workers on two queues in its own database ... ' ;;
	rabbitmq) printf '  skepd, with 4 workers on a quorum and a classic queue ... ' ;;
	esac
	sed -e "s|@WORK@|$work|g" -e "s|@HERE@|$here|g" -e "s|@URL@|${AMQP_URL:-embedded}|g" \
		"$here/skep.conf.in" >"$work/skep.conf"
	setsid setpriv --pdeathsig TERM "$root/build/bin/skepd" -c "$work/skep.conf" 2>"$work/skepd.log" &
	skepd=$!
	for _ in {1..200}; do
		if is_up; then
			printf 'up after %s s\n' "$(since "$began")"
			return
		fi
		kill -0 "$skepd" 2>/dev/null || fail "skepd ended"
		sleep 0.1
	done
	fail "skepd's workers are not connected"
}

# Some files that every machine has that can build this, and that nobody changes meanwhile.
list_files() {
	find /usr/include /usr/share/doc -type f -size -64k -readable -not -name '*[ \\]*' |
		sort | shuf -n $((JOBS - 1)) --random-source=<(yes) >"$work/files"
	[ "$(wc -l <"$work/files")" -eq $((JOBS - 1)) ] || fail "there are not enough files here"
}

# take N: the next N of the files.
taken=0
take() {
	sed -n "$((taken + 1)),$((taken + $1))p" "$work/files" >"$work/batch"
	taken=$((taken + $1))
}

row() { printf '  %3d %-22s %s%s%s\n' "$1" "$2" "$dim" "$3" "$plain"; }

submit_lines() {
	skep submit "$@" --lines <"$work/batch" >>"$work/ids" 2>"$work/errors" || fail "$(cat "$work/errors")"
}

submit_all() {
	row $FLAKY "that fail at first" "find ... | skep submit flaky --lines --queue demo.hash"
	take $FLAKY
	submit_lines flaky --queue demo.hash
	row $HASHED "files to hash" "find ... | skep submit hash --lines"
	take $HASHED
	submit_lines hash
	row 1 "that cannot be done" "skep submit hash /no/such/file"
	dead=$(skep submit hash /no/such/file)
	"submit_by_others_$mode"
}

submit_by_others_embedded() {
	export SKEP_SOCKET=$work/run/skep.sock
	row $COUNTED "files to count" "examples/python/submit.py: HTTP, one connection"
	take $COUNTED
	xargs "$python" "$root/examples/python/submit.py" demo.count count <"$work/batch" >>"$work/ids"
	row $BY_SHELL "files to hash" "examples/shell/submit.sh (curl)"
	take $BY_SHELL
	while read -r file; do
		"$root/examples/shell/submit.sh" hash "$file" >>"$work/ids"
	done <"$work/batch"
	unset SKEP_SOCKET
}

submit_by_others_rabbitmq() {
	row $COUNTED "files to count" "examples/python/enqueue.py (pika): one basic.publish each"
	take $COUNTED
	xargs "$python" "$root/examples/python/enqueue.py" demo.count count <"$work/batch" >>"$work/ids"
	row $BY_SHELL "files to hash" "examples/shell/enqueue.sh (amqp-publish)"
	take $BY_SHELL
	while read -r file; do
		"$root/examples/shell/enqueue.sh" demo.hash "$file"
	done <"$work/batch"
}

# done, dead, retrying and running jobs, in this order.
count_states() {
	skep list --limit 1000 2>/dev/null |
		awk 'NR > 1 { n[$2]++ } END { print n["done"] + 0, n["dead"] + 0, n["retrying"] + 0, n["running"] + 0 }'
}

bar() { # part whole
	local width=30 i
	for ((i = 0; i < width; i++)); do
		if ((i * $2 < $1 * width)); then printf '█'; else printf '░'; fi
	done
}

watch_work() {
	local finished dead_now retrying running deadline=$((SECONDS + 180)) shown=
	while :; do
		read -r finished dead_now retrying running < <(count_states)
		if [ -t 1 ]; then
			printf '\r  %s %3d of %d done, %d running, %d to be retried, %d dead\e[K' \
				"$(bar $((finished + dead_now)) $JOBS)" "$finished" $JOBS "$running" "$retrying" "$dead_now"
		elif [ "$finished" != "$shown" ]; then
			say "$finished of $JOBS done, $running running, $retrying to be retried, $dead_now dead"
			shown=$finished
		fi
		[ $((finished + dead_now)) -lt $JOBS ] || break
		[ $SECONDS -lt $deadline ] || fail "the jobs are not over after 180 s"
		kill -0 "$skepd" 2>/dev/null || fail "skepd ended"
		sleep 0.3
	done
	[ ! -t 1 ] || echo
}

show_dead() {
	title "The dead job"
	prompt "skep status $dead"
	skep status "$dead"
	prompt "skep logs $dead"
	skep logs "$dead"
}

show_more() {
	title "A job whose result is waited for"
	prompt "skep submit hash --wait $root/README.md"
	skep submit hash --wait "$root/README.md"
	title "Look further"
	if [ -z "${KEEP:-}" ]; then
		say "make demo KEEP=1      the same, left running until you press Enter"
		[ "$mode" = rabbitmq ] ||
			say "make demo-rabbitmq    the same on RabbitMQ: one line of the configuration is another"
		say "skep help             what else there is; README.md, examples/"
		return
	fi
	say "It runs on. In another terminal:"
	say ""
	say "export SKEP_SOCKET=$work/run/skep.sock ${AMQP_URL:+AMQP_URL=$AMQP_URL }PATH=$root/build/bin:\$PATH"
	for line in "list --state dead" "list --type flaky" "status $(head -n 1 "$work/ids")" "retry --dead" \
		"submit count --wait /etc/services" queues pools help; do
		say "skep $line"
	done
	say "curl --unix-socket \$SKEP_SOCKET http://skep/v1/queues"
	case $mode in
	embedded) say "$root/examples/shell/submit.sh hash /etc/services" ;;
	rabbitmq) say "$root/examples/shell/enqueue.sh demo.hash /etc/services" ;;
	esac
	say "less $work/skepd.log $work/skep.conf"
	printf '\n  Enter ends it. '
	read -r || true
}

case $mode in
embedded | rabbitmq) ;;
*)
	echo "usage: demo.sh [embedded | rabbitmq]" >&2
	exit 2
	;;
esac
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/skep-demo.XXXXXX")

title "Starting"
list_files
[ "$mode" = embedded ] || start_broker
start_skepd
title "Submitting $JOBS jobs"
began=$(now)
submit_all
title "Running them"
watch_work
seconds=$(since "$began")
title "What happened"
skep --json list --limit 1000 | "$python" "$here/summary.py" $JOBS "$seconds" || fail "that is not what was promised"
show_dead
show_more
cleanup
trap - EXIT
title "Nothing is left running."
