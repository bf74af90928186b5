// Lanes are spatial frequencies, tasks are images.
#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

void ctf(const CtfArgs& a) {
    // x and y apart, padded to whole vectors; shared by all images.
    const int padded = (a.m + lanes - 1) / lanes * lanes;
    Buffer<float> x(padded), y(padded);
    for (int j = 0; j < padded; ++j) {
        x[j] = j < a.m ? a.frequencies[2 * j] : 0.0f;
        y[j] = j < a.m ? a.frequencies[2 * j + 1] : 0.0f;
    }
    parallel_for(a.n, a.threads, [&](int image, int) {
        const Ctf c = make_ctf(a.rows + (size_t)image * ctf_columns);
        float* out = a.out + (size_t)image * a.m;
        for (int j = 0; j < a.m; j += lanes) {
            const vfloat value = ctf_value<VectorMath>(c, load(x + j), load(y + j), a.mode);
            if (j + lanes <= a.m)
                store(out + j, value);
            else
                memcpy(out + j, &value, (a.m - j) * sizeof(float));
        }
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
