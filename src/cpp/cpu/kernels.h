// The whole CPU interface: one entry of the table per kernel. The arguments of most are in math/arguments.h.
#pragma once
#include "math/arguments.h"

namespace boxwood {

// The transforms of fft.h for tests: out[count, n] of in[count, n], complex, unscaled,
// exp(sign 2 pi i jk/n). Either the float or the double pointers are set.
struct FftArgs {
    int count, n, sign, threads;
    const float* in_float;
    float* out_float;
    const double* in_double;
    double* out_double;
};

// How fast the product of the expectation is: Gflop/s of all classes at `vectors` vectors of offsets, and
// of multiply-adds that need no memory; each the best of `repeats` turns.
struct ProductArgs {
    int k, rings, coefficients, psi, vectors, repeats;
    const int* ring_harmonics;  // [rings]
    const float* references;    // [k, coefficients, 2]
    int bf16;
    double *product, *peak;
};

// No vectors here, hence one copy for all instruction sets.
void log_pick_peaks(const LogPeaksArgs&);

// Every kernel: its name and its arguments.
#define BOXWOOD_FOR_EACH_KERNEL(kernel)                                                               \
    kernel(ctf, CtfArgs) kernel(expectation, ExpectationArgs) kernel(extract, ExtractArgs)            \
        kernel(fft, FftArgs) kernel(fourier_crop, FourierCropArgs) kernel(log_pick_maps, LogPickArgs) \
            kernel(polar_adjoint, PolarAdjointArgs) kernel(polar_transform, PolarArgs)                \
                kernel(product_speed, ProductArgs) kernel(steerable, SteerableArgs)

struct KernelTable {
    const char* name;  // "baseline", "avx2", "avx512", "avx512bf16"
    int lanes;         // floats in one vector
    bool bf16;         // multiplies bfloat16 numbers by an instruction of its own
#define BOXWOOD_ENTRY(kernel, Args) void (*kernel)(const Args&);
    BOXWOOD_FOR_EACH_KERNEL(BOXWOOD_ENTRY)
#undef BOXWOOD_ENTRY
};

// The table in use: the last one named to use_kernels, or the best that was compiled and runs here.
const KernelTable& kernels();
// A table by name; null if it was not compiled or this processor does not run it.
const KernelTable* kernels_named(const char* name);
// Makes kernels() return the named table; false if there is none.
bool use_kernels(const char* name);
// Space-separated names of what was compiled, of what can run here.
const char* compiled_simd();
const char* runnable_simd();

}  // namespace boxwood
