#!/usr/bin/env bash
# Two readers of docker-compose.yml: docker-compose 1.29 (Debian's package) and compose-go, the library inside docker compose v2,
# with its command, into .tools/bin. Does nothing where they are already there.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin="$PWD/.tools/bin"
compose_go=v2.16.2

if ! command -v docker-compose >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
fi

# A stamp beside the binary names its version: an interrupted or older installation is done again.
stamp="$bin/.compose-go-$compose_go"
if [ ! -x "$bin/compose-go" ] || [ ! -e "$stamp" ]; then
  mkdir -p "$bin"
  rm -f "$bin"/.compose-go-*
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  GOBIN="$work" GOFLAGS=-buildvcs=false nice -n 19 go install -ldflags='-s -w' "github.com/compose-spec/compose-go/v2/cmd@$compose_go"
  mv "$work/cmd" "$bin/compose-go"
  touch "$stamp"
fi
