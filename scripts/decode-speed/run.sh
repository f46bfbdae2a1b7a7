#!/bin/sh
# Images a second and core, decoded and resized by vlp-data, by Pillow and by torchvision in turn: CPU time, one thread.
# usage: run.sh [FOLDER OF JPEGS]; without one, images are made. PYTHON=... names an interpreter that has
# requirements.txt installed; without it a virtual environment is made in target/decode-speed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/decode-speed
mkdir -p "$work"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$work/venv/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv "$work/venv"
        "$PYTHON" -m pip install -q -r "$here/requirements.txt"
    fi
fi
cd "$root"
cargo build -q --release -p vlp-data --example decode_speed
ours=${CARGO_TARGET_DIR:-$root/target}/release/examples/decode_speed
exec "$PYTHON" "$here/speed.py" "$ours" "$work" "$@"
