#!/usr/bin/env bash
# Resolve what the Makefile installs, from the registry's wheels alone, for other systems and
# Pythons than this one. Downloads metadata only.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
export UV_HTTP_TIMEOUT=180  # seconds: a slow registry is not an error

resolve() {  # NAME PLATFORM PYTHON ARGUMENTS...
    local name=$1 platform=$2 python=$3
    shift 3
    # torch's wheels for macOS ask for 14, uv's default is 13
    if MACOSX_DEPLOYMENT_TARGET=14.0 "$uv" pip compile -q --python-platform "$platform" \
            --python-version "$python" --only-binary :all: -o /dev/null "$@" > /dev/null; then
        echo "$platform, Python $python, $name: resolves"
    else
        echo "$platform, Python $python, $name: DOES NOT RESOLVE"
        exit 1
    fi
}

extras=(--extra lite --extra export --extra tensorboard --extra test)
for python in 3.10 3.11 3.12; do
    for platform in x86_64-unknown-linux-gnu x86_64-pc-windows-msvc; do
        # the two steps of `make demo` and `make test`, and that of `make lint`
        resolve torch "$platform" "$python" --no-config -c constraints.txt - \
            <<< $'setuptools\nwheel\ntorch'
        resolve package "$platform" "$python" --no-config -c constraints.txt "${extras[@]}" \
            pyproject.toml
        resolve development "$platform" "$python" --no-config -c constraints.txt --extra lite \
            --extra test --extra dev pyproject.toml
    done
    # uv alone heeds the override of decord in pyproject.toml
    for platform in aarch64-unknown-linux-gnu aarch64-apple-darwin; do
        resolve 'package by uv' "$platform" "$python" -c constraints.txt "${extras[@]}" \
            pyproject.toml
    done
done

# without the pins: each torch that pyproject.toml admits, with the triton that it asks for
for minor in 7 8 9 10 11 12 13 14 15; do
    resolve "torch 2.$minor" x86_64-unknown-linux-gnu 3.12 --no-config --extra lite \
        -c /dev/stdin pyproject.toml <<< "torch==2.$minor.*"
done
# what `make test-triton` adds to a torch that comes without it
resolve triton x86_64-unknown-linux-gnu 3.12 --no-config -c constraints.txt - <<< $'torch\ntriton'
