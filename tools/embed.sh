#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints a C file that holds a text file as a string: schema.sql -> const char schema_sql[].
set -eu
name=$(basename "$1" | tr '.-' '__')
echo "extern const char ${name}[];"
echo "const char ${name}[] ="
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$1"
echo ';'
