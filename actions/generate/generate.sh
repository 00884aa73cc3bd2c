#!/usr/bin/env bash
# Runs the generator; everything that it is told stands in the environment. What it prints goes into the result as
# well, so that the job that publishes can say why there is none.
set -uo pipefail

ours=${CONSDB_SDM_SCHEMAS_BASE:-}/.github/consdb-actions.yaml
if [ -z "${CONSDB_CONFIG:-}" ] && [ -n "${CONSDB_SDM_SCHEMAS_BASE:-}" ] && [ -f "$ours" ]; then
    export CONSDB_CONFIG=$ours
fi
if [ -z "${CONSDB_RESULT:-}" ]; then
    exec consdb-actions migrations generate
fi

mkdir -p "$CONSDB_RESULT"
{ consdb-actions migrations generate 2>&1 1>&3 | tee "$CONSDB_RESULT/log.txt" >&2; } 3>&1
exit "${PIPESTATUS[0]}"
