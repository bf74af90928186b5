// The whole CPU interface: one argument struct and one entry of the table per kernel.
// Arrays are C-contiguous; shapes stand in brackets. Lengths are in pixels unless said otherwise.
#pragma once
#include <stdint.h>

#include "math/ctf.h"

namespace boxwood {

// CTF of n images at m spatial frequencies: out[n, m].
struct CtfArgs {
    int n, m;
    const double* rows;        // [n, ctf_columns]
    const float* frequencies;  // [m, 2] in 1/Angstrom: x, y
    int mode;                  // CtfMode flags
    int threads;
    float* out;  // [n, m]
};

// The transforms of fft.h for tests: out[count, n] of in[count, n], complex, unscaled,
// exp(sign 2 pi i jk/n). Either the float or the double pointers are set.
struct FftArgs {
    int count, n, sign, threads;
    const float* in_float;
    float* out_float;
    const double* in_double;
    double* out_double;
};

struct KernelTable {
    const char* name;  // "baseline", "avx2", "avx512"
    int lanes;         // floats in one vector
    void (*ctf)(const CtfArgs&);
    void (*fft)(const FftArgs&);
};

// The table chosen at import: the best that was compiled and that this processor runs, or the one
// named by the environment variable BOXWOOD_SIMD.
const KernelTable& kernels();
// Tables by name, for tests that compare them; null if not compiled or not runnable here.
const KernelTable* kernels_named(const char* name);
// Makes kernels() return the named table; false if there is none.
bool use_kernels(const char* name);
// Space-separated names of what was compiled, of what can run here.
const char* compiled_simd();
const char* runnable_simd();

}  // namespace boxwood
