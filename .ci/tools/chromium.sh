#!/usr/bin/env bash
# Chromium, Debian's package: the status page is looked at in a real browser. Does nothing where it is already there.
set -euo pipefail
if command -v chromium >/dev/null; then exit 0; fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
