// Response of a Laplacian-of-Gaussian filter bank, its maximum and the filter that gave it.
//
// The micrograph's transform is wanted only at the low frequencies: rows two at a time as the real and
// imaginary part of one pruned transform, then the kept columns. Each filter costs one small inverse.
#include "cpu/kernels.h"
#include "cpu/pruned_fft.h"
#include "math/log_filter.h"
#include "math/moments.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// Rows in one transform: `lanes` pairs.
constexpr int rows_at_once = 2 * lanes;

static inline int groups_of(int size, int n) { return (n + size - 1) / size; }
static inline int min_int(int a, int b) { return a < b ? a : b; }
static inline int max_int(int a, int b) { return a > b ? a : b; }

// Mean and population standard deviation, in double about the first pixel. The tiles are rows, so the
// order of the sums is fixed.
static void image_statistics(const LogPickArgs& a, double* mean, double* sigma) {
    const double pivot = a.micrograph[0];
    Buffer<double> sums(2 * (size_t)a.ny);
    parallel_for(a.ny, a.threads, [&](int y, int) {
        const float* row = a.micrograph + (size_t)y * a.nx;
        double s[8] = {}, s2[8] = {};
        int x = 0;
        for (; x + 8 <= a.nx; x += 8)
            for (int i = 0; i < 8; ++i) {
                const double d = (double)row[x + i] - pivot;
                s[i] += d;
                s2[i] += d * d;
            }
        for (; x < a.nx; ++x) {
            const double d = (double)row[x] - pivot;
            s[0] += d;
            s2[0] += d * d;
        }
        for (int i = 1; i < 8; ++i) {
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

// The half-plane transform of size w x w, [columns / lanes][w rows: ky mod w][re, im][lanes], where
// column kx runs from 0 to w/2; coefficients the square does not have are zero. Scaled by 1 / n^2.
static void low_frequencies(const Square& square, int w, int threads, vfloat* spectrum) {
    const int n = square.n, half = w / 2;
    const int column_groups = groups_of(lanes, half + 1), row_groups = groups_of(rows_at_once, n);
    const LogBand band = LogBand::common(n, w);
    const int kx_end = band.kx_end, ky_begin = band.ky_begin, ky_end = band.ky_end;
    const int threads_used = threads > 1 ? threads : 1;
    memset(spectrum, 0, sizeof(vfloat) * 2 * (size_t)column_groups * w);

    // Rows. Frequencies of both signs are needed to tell the two rows apart.
    Buffer<vfloat> columns(2 * (size_t)column_groups * n);
    memset(columns.data, 0, sizeof(vfloat) * 2 * (size_t)column_groups * n);
    const PrunedFft along_x(n, 1 - kx_end, 2 * kx_end - 1);
    const size_t in_size = 2 * (size_t)n, out_size = 2 * (size_t)along_x.kept;
    const size_t row_scratch = in_size + out_size + along_x.scratch();
    Buffer<vfloat> row_memory(row_scratch * min_int(threads_used, row_groups));
    parallel_for(row_groups, threads, [&](int group, int worker) {
        vfloat* in = row_memory + row_scratch * worker;
        vfloat* out = in + in_size;
        float* points = (float*)in;
        constexpr int piece = 128;  // columns: what 2 lanes rows of them need stays in the first-level cache
        float line[piece];
        for (int x = 0; x < n; x += piece)
            for (int r = 0; r < rows_at_once; ++r) {
                const int end = min_int(n, x + piece);
                square.row(group * rows_at_once + r, x, end, line);
                for (int i = x; i < end; ++i) points[(size_t)i * rows_at_once + r] = line[i - x];
            }
        along_x.run(in, out, out + out_size);
        const int rows = min_int(lanes, n - group * rows_at_once);
        const int more_rows = min_int(lanes, n - group * rows_at_once - lanes);
        float* target = (float*)columns.data;
        for (int kx = 0; kx < kx_end; ++kx) {
            const vfloat* plus = out + 2 * (kx_end - 1 + kx);
            const vfloat* minus = out + 2 * (kx_end - 1 - kx);
            const vfloat a_re = (plus[0] + minus[0]) * 0.5f, a_im = (plus[1] - minus[1]) * 0.5f;
            const vfloat b_re = (plus[1] + minus[1]) * 0.5f, b_im = (minus[0] - plus[0]) * 0.5f;
            float* p = target + ((size_t)(kx / lanes) * n + group * rows_at_once) * 2 * lanes + kx % lanes;
            for (int r = 0; r < rows; ++r, p += 2 * lanes) {
                p[0] = a_re[r];
                p[lanes] = a_im[r];
            }
            for (int r = 0; r < more_rows; ++r, p += 2 * lanes) {
                p[0] = b_re[r];
                p[lanes] = b_im[r];
            }
        }
    });

    const PrunedFft along_y(n, ky_begin, ky_end - ky_begin);
    const size_t column_scratch = 2 * (size_t)along_y.kept + along_y.scratch();
    Buffer<vfloat> column_memory(column_scratch * min_int(threads_used, column_groups));
    const float scale = (float)(1.0 / ((double)n * n));
    parallel_for(column_groups, threads, [&](int group, int worker) {
        vfloat* out = column_memory + column_scratch * worker;
        along_y.run(columns + 2 * (size_t)group * n, out, out + 2 * (size_t)along_y.kept);
        vfloat* target = spectrum + 2 * (size_t)group * w;
        for (int ky = ky_begin; ky < ky_end; ++ky, out += 2) {
            const int y = ky < 0 ? ky + w : ky;
            target[2 * y] = out[0] * scale;
            target[2 * y + 1] = out[1] * scale;
        }
    });
}

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
          columns(2 * (size_t)groups_of(lanes, half + 1) * size),
          memory(4 * (size_t)size * workers(thread_count, size)),
          best(2 * (size_t)row_groups * size),
          index(2 * (size_t)row_groups * size) {}

    // Workers that run at most, see run_tasks.
    static int workers(int threads, int size) {
        const int tasks = max_int(groups_of(lanes, size / 2 + 1), groups_of(rows_at_once, size));
        return max_int(1, min_int(threads, tasks));
    }

    void apply(int filter, double variance) {
        const int reach = min_int(log_filter_reach(variance), half);
        for (int k = 0; k <= reach; ++k) gauss[k] = log_filter_gauss(k, variance);
        parallel_for(groups_of(lanes, reach + 1), threads, [&](int group, int worker) {
            filter_columns(group, reach, (float)(1.0 / variance), memory + 4 * (size_t)w * worker);
        });
        parallel_for(row_groups, threads, [&](int group, int worker) {
            vfloat* line = memory + 4 * (size_t)w * worker;
            gather_rows(group, reach, line);
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

    // Two rows as the real and imaginary part of one line: z = a + i b for both signs of kx.
    void gather_rows(int group, int reach, vfloat* line) const {
        const int rows = min_int(lanes, w - group * rows_at_once);
        const int more_rows = min_int(lanes, w - group * rows_at_once - lanes);
        memset(line, 0, sizeof(vfloat) * 2 * w);
        for (int kx = 0; kx <= reach; ++kx) {
            const float* p = (const float*)columns.data +
                             ((size_t)(kx / lanes) * w + group * rows_at_once) * 2 * lanes + kx % lanes;
            vfloat a_re = {}, a_im = {}, b_re = {}, b_im = {};
            for (int r = 0; r < rows; ++r, p += 2 * lanes) {
                a_re[r] = p[0];
                a_im[r] = p[lanes];
            }
            for (int r = 0; r < more_rows; ++r, p += 2 * lanes) {
                b_re[r] = p[0];
                b_im[r] = p[lanes];
            }
            if (kx == 0 || kx == half) {  // a real signal has real coefficients here
                line[2 * kx] = a_re;
                line[2 * kx + 1] = b_re;
                continue;
            }
            line[2 * kx] = a_re - b_im;
            line[2 * kx + 1] = a_im + b_re;
            line[2 * (w - kx)] = a_re + b_im;
            line[2 * (w - kx) + 1] = b_re - a_im;
        }
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
    Buffer<vfloat> spectrum(2 * (size_t)groups_of(lanes, w / 2 + 1) * w);
    low_frequencies(Square(a, *a.mean, *a.sigma), w, a.threads, spectrum);
    FilterBank bank(spectrum, w, a.threads);
    for (int filter = 0; filter < a.filters; ++filter) bank.apply(filter, a.variances[filter]);
    bank.write(a.best, a.index);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
