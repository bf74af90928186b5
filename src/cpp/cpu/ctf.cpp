#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

void ctf(const CtfArgs& a) {
    parallel_for(a.n, a.threads, [&](int image, int) {
        const Ctf c = make_ctf(a.rows + (size_t)image * ctf_columns);
        float* out = a.out + (size_t)image * a.m;
        for (int j = 0; j < a.m; ++j)
            out[j] = ctf_value(c, a.frequencies[2 * j], a.frequencies[2 * j + 1], a.mode);
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
