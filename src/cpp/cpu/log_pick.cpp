// Response of a Laplacian-of-Gaussian filter bank, its maximum and the filter that gave it.
//
// The micrograph's transform is wanted only at the low frequencies; each filter costs one small inverse.
#include "cpu/kernels.h"
#include "cpu/plane_fft.h"
#include "math/log_filter.h"
#include "math/moments.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

typedef float half_vfloat __attribute__((vector_size(lanes * 2), aligned(4), may_alias));

// Mean and population standard deviation, in double about the first pixel. The tiles are rows, so the
// order of the sums is fixed.
static void image_statistics(const LogPickArgs& a, double* mean, double* sigma) {
    const double pivot = a.micrograph[0];
    Buffer<double> sums(2 * (size_t)a.ny);
    parallel_for(a.ny, a.threads, [&](int y, int) {
        const float* row = a.micrograph + (size_t)y * a.nx;
        constexpr int sums_of_row = 8, wide = lanes / 2, parts = sums_of_row / wide;
        vdouble v[parts] = {}, v2[parts] = {};
        int x = 0;
        for (; x + sums_of_row <= a.nx; x += sums_of_row)
            for (int i = 0; i < parts; ++i) {
                const vdouble d =
                    __builtin_convertvector(*(const half_vfloat*)(row + x + i * wide), vdouble) - pivot;
                v[i] += d;
                v2[i] += d * d;
            }
        double s[sums_of_row], s2[sums_of_row];
        memcpy(s, v, sizeof(s));
        memcpy(s2, v2, sizeof(s2));
        for (; x < a.nx; ++x) {
            const double d = (double)row[x] - pivot;
            s[0] += d;
            s2[0] += d * d;
        }
        for (int i = 1; i < sums_of_row; ++i) {
            s[0] += s[i];
            s2[0] += s2[i];
        }
        sums[2 * y] = s[0];
        sums[2 * y + 1] = s2[0];
    });
    double s = 0, s2 = 0;
    for (int y = 0; y < a.ny; ++y) {
        s += sums[2 * y];
        s2 += sums[2 * y + 1];
    }
    mean_and_deviation(s, s2, (double)a.nx * a.ny, pivot, mean, sigma);
}

// Rows of the square that is transformed, with the micrograph normalised.
struct Square : LogSquare {
    const LogPickArgs& a;
    float mean, factor, limit;

    Square(const LogPickArgs& args, double mu, double sigma)
        : LogSquare(LogSquare::around(args.ny, args.nx)),
          a(args),
          mean((float)mu),
          factor((float)(args.sign / sigma)),
          limit((float)args.outlier_sigma) {}

    // out[0 .. x_end - x_begin) = row y, columns from x_begin on; rows past the last are zero.
    void row(int y, int x_begin, int x_end, float* out) const {
        const int left = min_int(x_end, x0), right = min_int(x_end, x0 + nx);
        int x = x_begin;
        if (y >= n) {
            for (; x < x_end; ++x) *out++ = 0;
            return;
        }
        const float* beside = a.outside + given(y);
        if (!crosses(y)) {
            for (; x < x_end; ++x) *out++ = beside[x];
            return;
        }
        const float* inside = a.micrograph + (size_t)(y - y0) * nx - x0;
        for (; x < left; ++x) *out++ = beside[x];
        for (; x < right; ++x) *out++ = log_pixel(inside[x], mean, factor, limit);
        for (; x < x_end; ++x) *out++ = beside[x - nx];
    }
};

// The inverse transforms of one size, and the best response so far.
// Planes are [row groups][w columns][2][lanes]: the lanes of the two vectors are rows.
struct FilterBank {
    const vfloat* spectrum;
    int w, threads;
    int half, row_groups;
    Fft<float, vfloat> fft;
    Buffer<float> gauss;
    Buffer<vfloat> columns;  // [column groups][w][re, im][lanes]: transformed along y
    Buffer<vfloat> memory;   // per worker: a line and its scratch
    Buffer<vfloat> best;
    Buffer<vint> index;

    FilterBank(const vfloat* transform, int size, int thread_count)
        : spectrum(transform),
          w(size),
          threads(thread_count),
          half(size / 2),
          row_groups(groups_of(rows_at_once, size)),
          fft(size),
          gauss(size),
          columns(spectrum_size(size, size)),
          memory(4 * (size_t)size *
                 workers_for(thread_count, max_int(groups_of(lanes, size / 2 + 1), row_groups))),
          best(2 * (size_t)row_groups * size),
          index(2 * (size_t)row_groups * size) {}

    void apply(int filter, double variance) {
        const int reach = min_int(log_filter_reach(variance), half);
        for (int k = 0; k <= reach; ++k) gauss[k] = log_filter_gauss(k, variance);
        parallel_for(groups_of(lanes, reach + 1), threads, [&](int group, int worker) {
            filter_columns(group, reach, (float)(1.0 / variance), memory + 4 * (size_t)w * worker);
        });
        parallel_for(row_groups, threads, [&](int group, int worker) {
            vfloat* line = memory + 4 * (size_t)w * worker;
            const int row = group * rows_at_once;
            gather_lines(columns, row, columns, row + lanes, w, w, reach, line);
            fft.template run<1>(line, line + 2 * (size_t)w);
            keep_best(group, filter, line);
        });
    }

    // The spectrum times G, transformed back along y.
    void filter_columns(int group, int reach, float inverse_variance, vfloat* work) {
        vfloat gauss_x, x2;
        for (int lane = 0; lane < lanes; ++lane) {
            const int kx = group * lanes + lane;
            gauss_x[lane] = kx <= reach ? gauss[kx] : 0.0f;
            x2[lane] = (float)kx * kx;
        }
        const vfloat* in = spectrum + 2 * (size_t)group * w;
        vfloat* out = columns + 2 * (size_t)group * w;
        memset(out, 0, sizeof(vfloat) * 2 * w);
        for (int ky = -min_int(reach, half - 1); ky <= reach; ++ky) {
            const int y = ky < 0 ? ky + w : ky;
            const vfloat g =
                log_filter(x2 + (float)ky * ky, inverse_variance, gauss_x, gauss[ky < 0 ? -ky : ky]);
            out[2 * y] = in[2 * y] * g;
            out[2 * y + 1] = in[2 * y + 1] * g;
        }
        fft.template run<1>(out, work);
    }

    // The first of equal responses stays.
    void keep_best(int group, int filter, const vfloat* line) {
        vfloat* value = best + 2 * (size_t)group * w;
        vint* which = index + 2 * (size_t)group * w;
        for (int i = 0; i < 2 * w; ++i) {
            const auto better = filter == 0 ? line[i] == line[i] : line[i] > value[i];
            value[i] = better ? line[i] : value[i];
            which[i] = better ? filter - vint{} : which[i];
        }
    }

    void write(float* values, uint8_t* which) const {
        for (int y = 0; y < w; ++y) {
            const size_t first = (size_t)(y / rows_at_once) * w * rows_at_once + y % rows_at_once;
            const float* value = (const float*)best.data + first;
            const int32_t* filter = (const int32_t*)index.data + first;
            for (int x = 0; x < w; ++x) {
                values[(size_t)y * w + x] = value[(size_t)x * rows_at_once];
                which[(size_t)y * w + x] = (uint8_t)filter[(size_t)x * rows_at_once];
            }
        }
    }
};

void log_pick_maps(const LogPickArgs& a) {
    image_statistics(a, a.mean, a.sigma);
    if (!(*a.sigma > 0) || !(*a.sigma < 1e300)) return;  // the caller says what is wrong with the image
    const int w = a.work_size;
    Buffer<vfloat> spectrum(spectrum_size(w, w));
    const Square square(a, *a.mean, *a.sigma);
    low_frequencies(square, square.n, square.n, w, w, a.threads, spectrum);
    FilterBank bank(spectrum, w, a.threads);
    for (int filter = 0; filter < a.filters; ++filter) bank.apply(filter, a.variances[filter]);
    bank.write(a.best, a.index);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
