#!/usr/bin/env bash
# egctl of Envoy Gateway into .tools/bin. Does nothing where this version is already there. Builds in a few minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin="$PWD/.tools/bin"
mkdir -p "$bin"

egctl=v1.9.1

# A stamp beside the binary names its version: an interrupted or older installation is done again.
stamp="$bin/.egctl-$egctl"
if [ -x "$bin/egctl" ] && [ -e "$stamp" ]; then exit 0; fi
rm -f "$bin"/.egctl-*
echo "building egctl $egctl"
GOBIN="$bin" GOFLAGS=-buildvcs=false nice -n 19 go install -ldflags='-s -w' "github.com/envoyproxy/gateway/cmd/egctl@$egctl"
touch "$stamp"
