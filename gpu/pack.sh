#!/bin/bash
# Gather what a stage needs on a machine with a card and no registry: wheels that it lacks, and the repository.
#
#   gpu/pack.sh STAGE [--python 3.12] [--limit BYTES] [--there FILE] [--from FOLDER] [--out FOLDER]
#
# STAGE       transformers, diffusers or server
# --python    that machine's Python; its system is Linux on x86-64
# --limit     of all files together (67108864, which is 64 MiB)
# --there     names of packages that are there, one a line (gpu/there.txt)
# --from      take all wheels from that folder, and ask nobody for any
# --out       where it is gathered, anew (packed/STAGE)
#
# There: bash packed/STAGE/start.sh STAGE --out DIR
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
stage=${1:?a stage: transformers, diffusers or server}
shift
python=3.12 limit=67108864 there=$root/gpu/there.txt from="" out=$root/packed/$stage
while [ $# -gt 0 ]; do
    case $1 in
        --python) python=$2 ;;
        --limit) limit=$2 ;;
        --there) there=$2 ;;
        --from) from=$2 ;;
        --out) out=$2 ;;
        *) echo "What is $1?" >&2; exit 2 ;;
    esac
    shift 2
done
case $stage in
    transformers) ours="bark audiocraft whisper" ;;
    diffusers) ours="diffusers" ;;
    server) ours="bark audiocraft diffusers server client" ;;
    *) echo "There is no stage $stage." >&2; exit 2 ;;
esac
rm -rf "$out"
mkdir -p "$out/wheels"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$from" ]; then
    from=$work/wheels
    built=$work/ours
    uv=$(command -v uv || echo "python3 -m uv")
    for name in lollms-modalities-core $(printf 'packages/lollms-%s ' $ours); do
        (cd "$root" && $uv build -q --wheel "$name" -o "$built")
    done
    mkdir -p "$from"
    cp "$built"/*.whl "$from"
    for name in $ours; do echo "lollms-$name"; done > "$work/wanted"
    # Ours are taken from here, with all that they need and that is not there, for that machine.
    $uv pip compile -q --no-header --no-annotate --find-links "$built" --python-version "$python" \
        --python-platform x86_64-manylinux_2_28 "$work/wanted" -o "$work/found"
    lower() { sed 's/[=<>; ].*//; s/_/-/g' | tr '[:upper:]' '[:lower:]'; }
    while read -r line; do
        name=$(lower <<< "$line")
        case $name in lollms-*) continue ;; esac
        if lower < "$there" | grep -qx "$name"; then continue; fi
        platforms=""
        for n in 1 2010 2014 _2_5 _2_12 _2_17 _2_24 _2_26 _2_27 _2_28 _2_31 _2_34; do platforms="$platforms --platform manylinux${n}_x86_64"; done
        # shellcheck disable=SC2086
        python3 -m pip download -q --no-deps --only-binary=:all: --python-version "$python" --implementation cp \
            $platforms -d "$from" "$line" 2> "$work/said" ||
            python3 -m pip wheel -q --no-deps -w "$from" "$line" ||  # a source that is the same everywhere
            { cat "$work/said" >&2; exit 1; }
    done < "$work/found"
    # A wheel that was built here for this Python alone is of no use there.
    find "$from" -name "*-cp*-linux_*.whl" -print -delete | sed 's|.*/|built here, of no use there: |'
fi

# What the machine runs: the repository without what only readers need.
(cd "$root" && { git describe --always --dirty 2> /dev/null || echo unknown; }) > "$work/tree.txt"
(cd "$root" && tar czf "$out/repository.tar.gz" --exclude=__pycache__ -C "$root" gpu tests/support -C "$work" tree.txt)
cp "$root/gpu/start.sh" "$out"
taken=$(cat "$out/repository.tar.gz" "$out/start.sh" | wc -c)

# Ours first, since nothing works without; then the smallest first, so that as many as may be come along.
: > "$out/left-out.txt"
{
    find "$from" -name 'lollms_*.whl' -printf '%s %p\n' | sort -n
    find "$from" -name '*.whl' ! -name 'lollms_*.whl' -printf '%s %p\n' | sort -n
} > "$work/order"
while read -r size path; do
    if [ $((taken + size + 512)) -le "$limit" ]; then  # some bytes for the list of what is left out
        cp "$path" "$out/wheels"
        taken=$((taken + size))
    else
        echo "$size $(basename "$path")" >> "$out/left-out.txt"
    fi
done < "$work/order"
total=$(find "$out" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
echo "$out: $(find "$out/wheels" -name '*.whl' | wc -l) wheels, $total bytes of $limit"
if [ -s "$out/left-out.txt" ]; then
    echo "Left out for want of room:"
    cat "$out/left-out.txt"
    exit 3
fi
