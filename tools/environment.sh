#!/bin/sh
# Make .venv and install the pinned requirements into it, unless that is done already.
# Needs a Python for which the pinned versions exist, with its venv module; PYTHON=...
# chooses one. What is missing is said in one line.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '\n%s\n\n' "$*" >&2
    exit 1
}

# What a Python lacks for this book, if anything. Even Python 2 understands the question.
lacks='
import sys
name = "Python %d.%d (%s)" % (sys.version_info[:2] + (sys.executable,))
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    print(name + " found: the pinned versions are for Python 3.11 to 3.14")
else:
    try:
        import ensurepip, venv
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        print(name + " has no venv module (Debian, Ubuntu: apt install " + package + ")")
'
choose_python() {
    problem=""
    for python in "$@"; do
        lacking=$("$python" -c "$lacks" 2>/dev/null) || continue
        [ -n "$lacking" ] || return 0
        problem=${problem:-$lacking}
    done
    none="No Python${PYTHON:+ at $PYTHON} (Debian, Ubuntu: apt install python3-venv)"
    fail "${problem:-$none}; or name another: make PYTHON=/path/to/python3.11 ..."
}

# The stamp holds the sum of what was installed, then .venv's Python and folder (which
# the programs in it name). It is empty from before anything is installed until all is.
stamp=.venv/installed
state='import pip, sys; print("%d.%d" % sys.version_info[:2], sys.prefix)'
asked() { "$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
is_whole() {
    now=$(.venv/bin/python -c "$state" 2>/dev/null) &&
        { [ -z "${PYTHON:-}" ] || [ "$(asked)" = "${now%% *}" ]; } &&
        { [ ! -f "$stamp" ] || [ "$(tail -n 1 "$stamp")" = "$now" ]; }
}

wanted=$(cat requirements.txt tools/requirements.txt constraints.txt pyproject.toml | cksum)
if is_whole; then
    [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
else
    if [ -n "${PYTHON:-}" ]; then
        choose_python "$PYTHON"
    else
        choose_python python3.11 python3.12 python3.13 python3.14 python3 python
    fi
    [ ! -e .venv ] || echo "The .venv here is unfinished, or not for this Python or place."
    echo "Making .venv with $("$python" --version)"
    said=$({ rm -rf .venv && mkdir .venv; } 2>&1) || fail "No .venv in $PWD: ${said%%
*}"
    : >"$stamp"
    "$python" -m venv .venv
    now=$(.venv/bin/python -c "$state")
fi

echo "Installing the pinned requirements into .venv (one or two minutes the first time)"
log=.venv/install.log
was=$(cat "$stamp" 2>/dev/null) || was=""
: >"$stamp"
install() {
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
        --only-binary :all: "$@" >"$log" 2>&1
}
# Of PyPI's torch for Linux, the gigabytes of CUDA are of no use here.
torch=$(grep '^torch==' requirements.txt)
cpu="--no-deps --retries 0 --timeout 10 --index-url https://download.pytorch.org/whl/cpu"
# shellcheck disable=SC2086 # these are several options
if [ "$(uname)" = Linux ] && ! install $cpu "$torch"; then
    echo "torch comes from PyPI, with CUDA (3 GB): download.pytorch.org is out of reach"
fi
if ! install -r requirements.txt -r tools/requirements.txt; then
    # What stopped before it changed anything may go on where it was.
    grep -q '^Installing collected' "$log" || printf '%s' "$was" >"$stamp"
    why=$(sed -n '/(from versions:/d; s/^ERROR: //p' "$log" | head -n 1)
    ! grep -q 'Retrying (Retry(total=0' "$log" || why="the package index is out of reach"
    fail "Installing failed: ${why:-pip stopped} (all that pip said: $log)"
fi
printf '%s\n%s' "$wanted" "$now" >"$stamp"
