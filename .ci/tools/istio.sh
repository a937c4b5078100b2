#!/usr/bin/env bash
# istioctl and istio-translate (of the folder beside this file) into .tools/bin. Does nothing where they are already there.
# Builds in a few minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin="$PWD/.tools/bin"
mkdir -p "$bin"

# Istio tags no Go versions: a commit of August 2026, on the way to 1.31. The same in istio-translate/go.mod and gateway-crds.sh.
istio=v0.0.0-20260827124520-eed52ebb66ad

# A stamp beside the binary names its version: an interrupted or older installation is done again.
stamp="$bin/.istioctl-$istio"
if [ ! -x "$bin/istioctl" ] || [ ! -e "$stamp" ]; then
  rm -f "$bin"/.istioctl-*
  echo "building istioctl $istio"
  GOBIN="$bin" GOFLAGS=-buildvcs=false nice -n 19 go install -ldflags='-s -w' "istio.io/istio/istioctl/cmd/istioctl@$istio"
  touch "$stamp"
fi

source=.ci/tools/istio-translate
stamp="$bin/.istio-translate-$(cat "$source/main.go" "$source/go.mod" | sha256sum | cut -c1-16)"
if [ ! -x "$bin/istio-translate" ] || [ ! -e "$stamp" ]; then
  rm -f "$bin"/.istio-translate-*
  echo "building istio-translate"
  # In a copy: resolving writes go.mod and go.sum.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$source/main.go" "$source/go.mod" "$work/"
  (cd "$work" && GOFLAGS='-mod=mod -buildvcs=false' nice -n 19 go build -ldflags='-s -w' -o "$bin/istio-translate" .)
  touch "$stamp"
fi
