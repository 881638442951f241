#!/usr/bin/env bash
# A stranger's client from PyPI trades on the simulated exchange: REST, streams and WebSocket API, on loopback.
# Usage: scripts/strangers/run.sh [path to the optiflow binary]
# Exit code 0 when every check holds. The virtual environment is kept and reused.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=4.5.90
venv=${OPTIFLOW_STRANGERS_VENV:-${TMPDIR:-/tmp}/optiflow-strangers-ccxt-$version}
listen_seconds=30

if [ $# -ge 1 ]; then
    optiflow=$1
else
    cargo build --release --manifest-path "$here/../../Cargo.toml" -p optiflow
    optiflow=${CARGO_TARGET_DIR:-$here/../../target}/release/optiflow
fi

if ! "$venv/bin/python" -c "import ccxt; assert ccxt.__version__ == '$version'" 2>/dev/null; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "ccxt==$version"; }; then
        echo "skipped: ccxt $version could not be installed (needs Python 3.11 with venv, and PyPI)"
        exit 0
    fi
fi

work=$(mktemp -d)
"$optiflow" exchange --no-tls --json --port 0 >"$work/exchange.json" &
exchange=$!
trap 'kill "$exchange" 2>/dev/null || true; wait "$exchange" 2>/dev/null || true; rm -rf "$work"' EXIT

for _ in $(seq $((listen_seconds * 10))); do
    [ -s "$work/exchange.json" ] && break
    kill -0 "$exchange" 2>/dev/null || { echo "the exchange did not start" >&2; exit 1; }
    sleep 0.1
done
[ -s "$work/exchange.json" ] || { echo "the exchange did not listen within $listen_seconds s" >&2; exit 1; }

timeout 300 "$venv/bin/python" "$here/ccxt_client.py" "$work/exchange.json"
