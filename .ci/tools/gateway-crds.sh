#!/usr/bin/env bash
# CustomResourceDefinitions of Istio, Gateway API, Envoy Gateway and Contour into .tools/crds, out of the Go modules that
# ship them. kgateway's module cannot be had: docs/gateways.md. Does nothing where these versions are already there.
# kubeconform, which checks against them, comes with kubernetes.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
crds="$PWD/.tools/crds"
mkdir -p "$crds"

istio=v0.0.0-20260827124520-eed52ebb66ad # the one of istio.sh
istio_api=v1.31.0 # where the words of its mesh configuration are
gateway_api=v1.6.3
envoy_gateway=v1.9.1 # the one of envoy-gateway.sh
contour=v1.33.8

# take NAME VERSION MODULE FILES...: the folder is renamed last, so an interrupted copy is done again.
take() {
  local name=$1 version=$2 module=$3
  shift 3
  local target="$crds/$name-$version"
  if [ -d "$target" ]; then return; fi
  rm -rf "$crds/$name"-v* "$crds/.$name"
  mkdir "$crds/.$name"
  local dir
  dir=$(cd / && go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  local file
  for file in "$@"; do cp "$dir"/$file "$crds/.$name/"; done
  chmod -R u+w "$crds/.$name"
  mv "$crds/.$name" "$target"
}

take istio "$istio" istio.io/istio manifests/charts/base/files/crd-all.gen.yaml
take istio-api "$istio_api" istio.io/api mesh/v1alpha1/config.proto
take gateway-api "$gateway_api" sigs.k8s.io/gateway-api 'config/crd/standard/gateway.networking.k8s.io_*s.yaml'
take envoy-gateway "$envoy_gateway" github.com/envoyproxy/gateway 'charts/gateway-helm/charts/crds/crds/generated/*.yaml'
take contour "$contour" github.com/projectcontour/contour examples/contour/01-crds.yaml
