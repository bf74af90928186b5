#!/usr/bin/env bash
# What of the Python package and of the C++ kernels the tests execute.
#   tests/coverage.sh [arguments of pytest]      for example: tests/coverage.sh tests/kernels
# Builds a copy of the sources with counters, once per instruction set as always, runs pytest on it and prints two tables.
# Needs pip install '.[test]' cmake ninja pytest-cov gcovr. Programs that tests start are not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build-coverage
rm -rf "$build/python" && mkdir -p "$build/python" && cp -r src/python/boxwood "$build/python/"
rm -f "$build"/python/boxwood/*.so
cmake -S . -B "$build" -G Ninja -DBOXWOOD_COVERAGE=ON -DBOXWOOD_CUDA=OFF >/dev/null
ninja -C "$build" >/dev/null
find "$build" -name '*.gcda' -delete
cp "$build"/_core*.so "$build/python/boxwood/"
export PYTHONPATH=$build/python
python -m pytest -q --cov=boxwood --cov-report=term:skip-covered "$@" || echo "some tests failed: the figures are of the others"
# A line counts if any of the instruction sets has executed it.
mkdir -p "$build/html"
gcovr --root . --object-directory "$build" --filter 'src/cpp/' --merge-lines --exclude-throw-branches \
  --merge-mode-functions=merge-use-line-0 --html-details "$build/html/index.html" --csv "$build/cpp.csv"
python - "$build/cpp.csv" <<'END'
import csv, sys
for row in csv.DictReader(open(sys.argv[1])):
    print(f"{row['filename']:45s} {int(row['line_covered']):5d} of {int(row['line_total']):5d} lines, {float(row['line_percent']):4.0%}")
END
echo "line by line: $build/html/index.html"
