#!/bin/sh
# SPDX-License-Identifier: MIT
# Submits a job with nothing but curl: its id is printed once it is on disk.
#
#     submit.sh TYPE BODY                SKEP_SOCKET says where the node is
set -eu
printf %s "$2" | curl --silent --show-error --fail-with-body --unix-socket "${SKEP_SOCKET:?}" \
    --header 'Content-Type: text/plain' --data-binary @- "http://skep/v1/jobs?type=$1" |
    sed -n 's/.*"id": *"\([^"]*\)".*/\1/p'
