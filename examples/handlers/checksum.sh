#!/bin/sh
# SPDX-License-Identifier: MIT
# A handler in the shell: the body is the name of a file, the result its SHA-256.
#
# Standard output is the result, standard error the log (skep logs ID), the exit code the outcome: 0 done,
# 75 try again, others by the policy of [handler checksum].
set -eu
file=$(cat)
echo "attempt $SKEP_ATTEMPT of job $SKEP_JOB_ID: $file" >&2
exec sha256sum -- "$file"
