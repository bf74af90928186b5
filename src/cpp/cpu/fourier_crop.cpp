// A micrograph on a coarser grid: its low frequencies, transformed back.
#include "cpu/kernels.h"
#include "cpu/plane_fft.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

void fourier_crop(const FourierCropArgs& a) {
    struct Pixels {
        const FourierCropArgs& a;
        void row(int y, int x_begin, int x_end, float* out) const {
            const float* in = a.image + (size_t)y * a.nx;
            for (int x = x_begin; x < x_end; ++x) *out++ = y < a.ny ? in[x] - a.offset : 0.0f;
        }
    };
    const int my = a.my, mx = a.mx, row_groups = groups_of(rows_at_once, my);
    const int column_groups = groups_of(lanes, mx / 2 + 1);
    Buffer<vfloat> spectrum(spectrum_size(my, mx));
    low_frequencies(Pixels{a}, a.ny, a.nx, my, mx, a.threads, spectrum);
    const Fft<float, vfloat> along_y(my), along_x(mx);
    const size_t scratch = 4 * (size_t)max_int(my, mx);
    Buffer<vfloat> memory(scratch * workers_for(a.threads, max_int(row_groups, column_groups)));
    parallel_for(column_groups, a.threads, [&](int group, int worker) {
        along_y.template run<1>(spectrum + 2 * (size_t)group * my, memory + scratch * worker);
    });
    parallel_for(row_groups, a.threads, [&](int group, int worker) {
        const int row = group * rows_at_once;
        vfloat* line = memory + scratch * worker;
        gather_lines(spectrum, row, spectrum, row + lanes, my, mx, mx / 2, line);
        along_x.template run<1>(line, line + 2 * (size_t)mx);
        for (int r = 0; r < min_int(rows_at_once, my - row); ++r) {
            const float* in = (const float*)line + r;
            float* out = a.out + (size_t)(row + r) * mx;
            for (int x = 0; x < mx; ++x) out[x] = in[(size_t)x * rows_at_once];
        }
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
