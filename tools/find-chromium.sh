#!/usr/bin/env bash
# Prints the path of a Chromium or Chrome. Installs Debian's when there is none and this may be done; says how otherwise.
set -euo pipefail
found() {
    if [ -n "${CHROMIUM:-}" ]; then echo "$CHROMIUM"; return 0; fi
    local candidate
    for candidate in /usr/lib/chromium/chromium chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$candidate" 2>/dev/null; then return 0; fi
    done
    return 1
}
found && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >&2
    found && exit 0
fi
echo "the browser tests need Chromium: sudo apt-get install chromium (or set CHROMIUM to its path)" >&2
exit 1
