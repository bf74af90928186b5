#!/usr/bin/env bash
# Run the tests of the kernels with the kernels compiled by AddressSanitizer and UndefinedBehaviorSanitizer, or by
# ThreadSanitizer:  tests/kernels/sanitize.sh address|thread [pytest's words]
# It builds in build-address/ or build-thread/, with GCC, and leaves the modules in the source tree alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1; shift
build=$PWD/build-$kind
case $kind in
  address) flags=address,undefined library=libasan.so ;;
  thread) flags=thread library=libtsan.so ;;
  *) echo "address or thread, not $kind" >&2; exit 2 ;;
esac
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBOXWOOD_SANITIZE=$flags -DBOXWOOD_CUDA=OFF \
  -DBOXWOOD_SIMD_TARGETS="${BOXWOOD_SIMD_TARGETS:-baseline;avx2}" >/dev/null
ninja -C "$build" >/dev/null
rm -rf "$build/python" && mkdir "$build/python" && cp -r src/python/boxwood "$build/python/"
rm -f "$build"/python/boxwood/*.so && cp "$build"/_core*.so "$build/python/boxwood/"
# Python leaves memory to the end of the process; NumPy's and pandas' threads are not those that are looked for.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
export OPENBLAS_NUM_THREADS=1 PYTHONPATH=$build/python
LD_PRELOAD="$(gcc -print-file-name=$library) $(gcc -print-file-name=libstdc++.so)" \
  python -m pytest -q -k "not emulat and not cuda" "${@:-tests/kernels}"
