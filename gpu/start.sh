#!/bin/bash
# On the machine with the card: bash start.sh STAGE --out DIR [what else gpu/run.py takes]
# Installs the wheels beside it into a folder of their own, and runs the stage from the repository beside it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
tar xzf "$here/repository.tar.gz" -C "$work"
mv "$work/tree.txt" "$work/gpu/tree.txt"
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
    --target "$work/site" "$here"/wheels/*.whl
export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
[ ! -s "$here/left-out.txt" ] || { echo "Left out for want of room:"; cat "$here/left-out.txt"; }
exec python3 "$work/gpu/run.py" "$@"
