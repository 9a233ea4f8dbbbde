#!/usr/bin/env bash
# Run the tests on other stacks than the installed one, each in a fresh virtual environment.
#
#   scripts/test_stacks.sh [old|py310|py312|py313 ...]     (default: all four)
#
# old    RecBole 1.2.1 with Ray 2.6.3, the newest it allows, hence NumPy 1.26 and Python 3.11
# py3NN  constraints.txt on Python 3.NN
#
# Prints one line for each stack and fails when one of them fails. A Python that is missing is
# skipped. Packages come from the index that pip is configured for.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
torch='torch==2.13.0'

# The interpreter of a version: pyenv's, or the one on the PATH (a shim of pyenv may not run).
find_python() {
  local version=$1 candidate
  local ask='import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])'
  for candidate in "$(pyenv prefix "$version" 2>/dev/null || true)/bin/python" "python$version"; do
    if [ "$("$candidate" -c "$ask" 2>/dev/null || true)" = "$version" ]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# What git would commit, copied, so that building leaves nothing in the working tree.
copy_sources() {
  mkdir "$work/source"
  (cd "$root" && git ls-files -coz --exclude-standard | tar -c --null -T -) |
    tar -x -C "$work/source"
}

# prepare STACK PYTHON: make the environment. The package is installed, not linked, and `pytest`
# leaves the current folder off the path: what is tested is what a user gets.
prepare() {
  local stack=$1 python=$2 pins="$work/source/constraints.txt" more=()
  if [ "$stack" = old ]; then
    pins="$work/old.txt"
    printf '%s\n' 'recbole==1.2.1' 'ray==2.6.3' 'numpy==1.26.4' 'setuptools<81' \
      'pyarrow<20' >"$pins"
    more=('setuptools<81') # Ray 2.6 imports pkg_resources, and does not ask for it
  fi
  "$python" -m venv "$work/$stack" &&
    "$work/$stack/bin/python" -m pip install --quiet --disable-pip-version-check \
      -c "$pins" "$torch" ${more[@]+"${more[@]}"} "$work/source[test]"
}

# check STACK VERSION: print the stack's one line.
check() {
  local stack=$1 version=$2 python log="$work/$1.log"
  if ! python=$(find_python "$version"); then
    echo "$stack: skipped, there is no Python $version"
  elif ! prepare "$stack" "$python" >"$log" 2>&1; then
    echo "$stack: FAILED to install, see $log"
    return 1
  elif ! (cd "$work/source" && "$work/$stack/bin/pytest" -p no:cacheprovider) >>"$log" 2>&1; then
    echo "$stack: FAILED, see $log"
    return 1
  else
    echo "$stack: ok, $(grep -E '[0-9]+ passed' "$log" | tail -n 1 | tr -d '=')"
    rm -rf "${work:?}/$stack"
  fi
}

[ $# -gt 0 ] || set -- old py310 py312 py313
for stack in "$@"; do
  case $stack in
    old | py310 | py312 | py313) ;;
    *)
      echo "unknown stack '$stack'; choose from: old py310 py312 py313" >&2
      exit 2
      ;;
  esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/test_stacks.XXXXXX")
copy_sources
failed=0
for stack in "$@"; do
  case $stack in
    old) version=3.11 ;;
    *) version="3.${stack#py3}" ;;
  esac
  check "$stack" "$version" || failed=1
done
[ "$failed" = 1 ] || rm -rf "$work" # the logs stay for whoever has to read them
exit "$failed"
