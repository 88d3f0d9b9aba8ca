#!/bin/sh
# Make .venv and install the pinned requirements into it, unless that is done already.
# Needs Python 3.11 or newer with its venv module; PYTHON=... chooses one.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '\n%s\n\n' "$*" >&2
    exit 1
}

check='import sys; sys.exit(sys.version_info < (3, 11))'
found=""
for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    "$name" -c '' 2>/dev/null || continue
    found="$name"
    "$name" -c "$check" && break
    found="too old: $("$name" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
done
case "$found" in
    "") fail "No Python found. Install Python 3.11 or newer, or say where it is:
    make PYTHON=/path/to/python3.11 ..." ;;
    "too old:"*) fail "Python 3.11 or newer is needed; found one that is $found
Install a newer one, or say where it is: make PYTHON=/path/to/python3.11 ..." ;;
esac
python="$found"

# The stamp holds what was installed: pins, package metadata, and the Python they are for.
wanted=$(cat requirements.txt tools/requirements.txt constraints.txt pyproject.toml | cksum)
stamp=.venv/installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c ''; then
    exit 0
fi

if ! .venv/bin/python -c "$check" 2>/dev/null; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail \
        "$python has no venv module. On Debian or Ubuntu: apt install python3-venv"
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "Installing the pinned requirements into .venv (one or two minutes the first time)"
log=.venv/install.log
if ! .venv/bin/python -m pip install --disable-pip-version-check \
    -r requirements.txt -r tools/requirements.txt >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "Installing the requirements failed; the whole record is in $log"
fi
printf '%s' "$wanted" >"$stamp"
