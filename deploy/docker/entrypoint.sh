#!/bin/sh
# Puts Dagster's instance file together once per container, then becomes the command it was given.
set -eu
home="${DAGSTER_HOME:-$ADX_HOME/dagster}"
export DAGSTER_HOME="$home"
mkdir -p "$home"
template=/app/adx_platform/orchestration/templates/dagster.yaml
if [ -n "${ADX_DAGSTER_STORAGE:-}" ]; then
    # Several containers may start on one volume: written beside and renamed.
    cat "$template" "$ADX_DAGSTER_STORAGE" > "$home/.dagster.yaml.$$"
    mv "$home/.dagster.yaml.$$" "$home/dagster.yaml"
fi
exec "$@"
