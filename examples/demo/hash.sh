#!/bin/sh
# SPDX-License-Identifier: MIT
# The body is the name of a file, the result its SHA-256.
file=$(cat)
if [ ! -r "$file" ]; then
	echo "$file: there is no such file, or it may not be read" >&2
	exit 66 # EX_NOINPUT, one of dead_exits
fi
exec sha256sum -- "$file"
