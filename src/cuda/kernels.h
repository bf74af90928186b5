// The whole CUDA interface, mirroring cpu/kernels.h: host arrays in, host arrays out.
// Arrays are C-contiguous; shapes stand in brackets. Failures throw CudaError (cuda/runtime.h).
#pragma once

#include "math/ctf.h"

namespace boxwood {
namespace cuda {

// CTF of n images at m spatial frequencies: out[n, m].
struct CtfArgs {
    int n, m;
    const double* rows;        // [n, ctf_columns]
    const float* frequencies;  // [m, 2] in 1/Angstrom: x, y
    int mode;                  // CtfMode flags
    int device;
    float* out;  // [n, m]
};
void ctf(const CtfArgs&);

}  // namespace cuda
}  // namespace boxwood
