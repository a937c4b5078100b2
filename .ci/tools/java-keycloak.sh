#!/usr/bin/env bash
# Keycloak (Maven's org.keycloak:keycloak-quarkus-dist) into .tools/keycloak-VERSION, and Java 17 for it.
# Does nothing where this version is already there. The version is the one of docker-compose.yml; a test holds that.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -n 's|^ *image: quay.io/keycloak/keycloak:||p' docker-compose.yml)
home=".tools/keycloak-$version"

need() { # PROGRAM PACKAGE
  if command -v "$1" >/dev/null; then return; fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}
need java openjdk-17-jre-headless
need curl curl
need wget wget

if [ -x "$home/bin/kc.sh" ]; then exit 0; fi
need mvn maven
need unzip unzip
mkdir -p .tools
work=$(mktemp -d .tools/keycloak-XXXXXX)
trap 'rm -rf "$work"' EXIT
mvn -q -B dependency:copy -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:zip" -DoutputDirectory="$PWD/$work"
unzip -q "$work"/*.zip -d "$work"
# Put in place in one step: an interrupted installation is done again.
mv "$work/keycloak-$version" "$home"
