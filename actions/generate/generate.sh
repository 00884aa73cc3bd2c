#!/usr/bin/env bash
# Runs the generator; everything that it is told stands in the environment. What it prints goes into the result as
# well, so that the job that publishes can say why there is none.
set -uo pipefail

name=.github/consdb-actions.yaml
base=${CONSDB_SDM_SCHEMAS_BASE:-}
if [ -z "${CONSDB_CONFIG:-}" ] && [ -f "${base:-/dev/null}/$name" ]; then
    export CONSDB_CONFIG=$base/$name
elif [ -z "${CONSDB_CONFIG:-}" ] && [ -n "$base" ] && [ ! -d "$base" ]; then
    ours=$(mktemp)
    if git -C "$CONSDB_SDM_SCHEMAS" show --end-of-options "$base:$name" >"$ours" 2>/dev/null; then
        export CONSDB_CONFIG=$ours
    fi
fi
if [ -z "${CONSDB_RESULT:-}" ]; then
    exec consdb-actions migrations generate
fi

mkdir -p "$CONSDB_RESULT"
{ consdb-actions migrations generate 2>&1 1>&3 | tee "$CONSDB_RESULT/log.txt" >&2; } 3>&1
exit "${PIPESTATUS[0]}"
