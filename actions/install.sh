#!/usr/bin/env bash
# Installs consdb-actions into a folder of its own and puts its command on PATH. Every dependency is held against
# the hashes in requirements.lock. What is installed is the code beside this script; or, where CONSDB_ACTIONS_VERSION
# names a release, the wheel of that. An installation of the same content is used again, as a runner of one's own keeps
# it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${CONSDB_ACTIONS_VERSION:-}
python=${CONSDB_ACTIONS_PYTHON:-}
wheels=${GITHUB_SERVER_URL:-https://github.com}/lsst-dm/consdb-actions/releases/download
began=$SECONDS

fail() {
    printf '::error title=consdb-actions cannot be installed::%s\n' "$1"
    exit 2
}

[[ $version =~ ^([0-9]+(\.[0-9]+){1,3})?$ ]] || fail 'The input "version" is no version, such as 26.11.0.'
[[ $python =~ ^(3\.[0-9]{1,2})?$ ]] || fail 'The input "python" is no version of Python, such as 3.13.'

content() {
    echo "$version $python"
    cat "$root/requirements.lock" "$root/pyproject.toml"
    [ -n "$version" ] || (cd "$root" && find consdb_actions -type f -name '*.[pj]*' ! -name '_version.py' ! -path '*__pycache__*' \
        -print0 | sort -z | xargs -0 sha256sum)
}
key=$(content | sha256sum | cut -c 1-16)
place=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-/tmp}}/consdb-actions/$key
mkdir -p "$place"
exec 9>"$place/lock"
flock 9 || true

install_with_uv() {
    uv venv --quiet --clear ${python:+--python "$python"} "$place/venv"
    uv pip install --quiet --python "$place/venv/bin/python" --require-hashes -r "$root/requirements.lock"
    uv pip install --quiet --python "$place/venv/bin/python" --no-deps --no-build-isolation "$@"
}

install_with_pip() {
    "python${python:-3}" -m venv --clear "$place/venv"
    local pip=("$place/venv/bin/python" -m pip --disable-pip-version-check install --quiet)
    "${pip[@]}" --require-hashes -r "$root/requirements.lock"
    "${pip[@]}" --no-deps --no-build-isolation "$@"
}

if [ ! -e "$place/done" ]; then
    tool=pip
    if command -v uv >/dev/null; then tool=uv; fi
    what=$root
    if [ -n "$version" ]; then what=$wheels/v$version/consdb_actions-$version-py3-none-any.whl; fi
    "install_with_$tool" "$what"
    mkdir -p "$place/bin"
    ln -sf "$place/venv/bin/consdb-actions" "$place/bin/consdb-actions"
    touch "$place/done"
    how="installed with $tool"
else
    how="was there already"
fi

"$place/bin/consdb-actions" --version
echo "It $how, in $((SECONDS - began)) s."
if [ -n "${GITHUB_PATH:-}" ]; then echo "$place/bin" >>"$GITHUB_PATH"; fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
    echo "version=$("$place/bin/consdb-actions" --version | sed 's/.* //')" >>"$GITHUB_OUTPUT"
    echo "seconds=$((SECONDS - began))" >>"$GITHUB_OUTPUT"
fi
