#!/usr/bin/env bash
# Generates all code again and fails when that changed a file, whether or not the file was committed.
set -euo pipefail
cd "$(dirname "$0")/.."
sums() { find web/templates internal/db -name '*_templ.go' -o -path 'internal/db/*.sql.go' -o -path internal/db/models.go -o -path internal/db/queries.go | sort | xargs sha256sum; }
before=$(sums)
make --no-print-directory generate >/dev/null
after=$(sums)
if [ "$before" != "$after" ]; then
    echo "generated code was out of date; it has been made again, commit it:" >&2
    diff <(echo "$before") <(echo "$after") | awk '/^>/ {print "  " $3}' >&2
    exit 1
fi
