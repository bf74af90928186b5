#!/usr/bin/env bash
# Installs boxwood with its CUDA kernels into a new environment, the compiler and libraries being PyPI's wheels
# (800 MB), whatever CUDA this machine has, and sees that the kernels are there.
#     tests/kernels/install_cuda.sh [NEW_FOLDER]
set -euo pipefail
source=$(realpath "$(dirname "$0")/../..")
folder=$(realpath "${1:-$(mktemp -d)}")
python3 -m venv "$folder/venv"
cd "$folder/venv/bin"
./pip install -q "cuda-toolkit[nvcc,cudart,cccl,crt,nvvm,cublas,cufft,nvjitlink]==13.0.2"
env -u CUDACXX -u CUDA_HOME ./pip install -v "$source" >"$folder/build.log" 2>&1 ||
  { tail -40 "$folder/build.log"; exit 1; }
grep "boxwood: CUDA kernels are built by $folder/venv/" "$folder/build.log" ||
  { grep "boxwood: CUDA" "$folder/build.log"; exit 1; }
ldd "$(./python -c 'import boxwood._cuda as c; print(c.__file__)')" | grep -E "libcublas|libcufft" |
  grep -v "$folder/venv/" && { echo "a library is not the wheels'"; exit 1; }
./boxwood info | grep "^CUDA"
