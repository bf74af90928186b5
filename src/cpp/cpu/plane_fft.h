// Two-dimensional transforms of one real plane, its rows and columns in the lanes of fft.h.
//
// A half-plane spectrum is [column groups][ny: ky mod ny][re, im][lanes]; the lanes are the columns
// kx = 0 ... nx/2. Rows are transformed two at a time, as the real and imaginary part of one line.
#pragma once
#include "cpu/pruned_fft.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// Rows in one transform: `lanes` pairs.
constexpr int rows_at_once = 2 * lanes;

static inline int groups_of(int size, int n) { return (n + size - 1) / size; }
static inline int min_int(int a, int b) { return a < b ? a : b; }
static inline int max_int(int a, int b) { return a > b ? a : b; }

// Workers that run at most, see run_tasks.
static inline int workers_for(int threads, int tasks) { return max_int(1, min_int(threads, tasks)); }

// Vectors of a half-plane spectrum.
static inline size_t spectrum_size(int ny, int nx) { return 2 * (size_t)groups_of(lanes, nx / 2 + 1) * ny; }

// The half-plane spectrum of size wy x wx of a plane of ny x nx; coefficients the plane does not have are
// zero. Scaled by 1 / (ny nx). source.row(y, x_begin, x_end, out) writes pixels of the plane; rows past the
// last are zero.
template <class Source>
static void low_frequencies(const Source& source, int ny, int nx, int wy, int wx, int threads,
                            vfloat* spectrum) {
    const int half = wx / 2;
    const int column_groups = groups_of(lanes, half + 1), row_groups = groups_of(rows_at_once, ny);
    const int kx_end = min_int(half, nx / 2) + 1;
    const int ky_begin = -min_int(wy / 2 - 1, (ny - 1) / 2), ky_end = min_int(wy / 2, ny / 2) + 1;
    memset(spectrum, 0, sizeof(vfloat) * spectrum_size(wy, wx));

    // Rows. Frequencies of both signs are needed to tell the two rows apart.
    Buffer<vfloat> columns(2 * (size_t)column_groups * ny);
    memset(columns.data, 0, sizeof(vfloat) * 2 * (size_t)column_groups * ny);
    const PrunedFft along_x(nx, 1 - kx_end, 2 * kx_end - 1);
    const size_t in_size = 2 * (size_t)nx, out_size = 2 * (size_t)along_x.kept;
    const size_t row_scratch = in_size + out_size + along_x.scratch();
    Buffer<vfloat> row_memory(row_scratch * workers_for(threads, row_groups));
    parallel_for(row_groups, threads, [&](int group, int worker) {
        vfloat* in = row_memory + row_scratch * worker;
        vfloat* out = in + in_size;
        float* points = (float*)in;
        constexpr int piece = 128;  // columns: what 2 lanes rows of them need stays in the first-level cache
        float line[piece];
        for (int x = 0; x < nx; x += piece)
            for (int r = 0; r < rows_at_once; ++r) {
                const int end = min_int(nx, x + piece);
                source.row(group * rows_at_once + r, x, end, line);
                for (int i = x; i < end; ++i) points[(size_t)i * rows_at_once + r] = line[i - x];
            }
        along_x.run(in, out, out + out_size);
        const int rows = min_int(lanes, ny - group * rows_at_once);
        const int more_rows = min_int(lanes, ny - group * rows_at_once - lanes);
        float* target = (float*)columns.data;
        for (int kx = 0; kx < kx_end; ++kx) {
            const vfloat* plus = out + 2 * (kx_end - 1 + kx);
            const vfloat* minus = out + 2 * (kx_end - 1 - kx);
            const vfloat a_re = (plus[0] + minus[0]) * 0.5f, a_im = (plus[1] - minus[1]) * 0.5f;
            const vfloat b_re = (plus[1] + minus[1]) * 0.5f, b_im = (minus[0] - plus[0]) * 0.5f;
            float* p = target + ((size_t)(kx / lanes) * ny + group * rows_at_once) * 2 * lanes + kx % lanes;
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

    const PrunedFft along_y(ny, ky_begin, ky_end - ky_begin);
    const size_t column_scratch = 2 * (size_t)along_y.kept + along_y.scratch();
    Buffer<vfloat> column_memory(column_scratch * workers_for(threads, column_groups));
    const float scale = (float)(1.0 / ((double)ny * nx));
    parallel_for(column_groups, threads, [&](int group, int worker) {
        vfloat* out = column_memory + column_scratch * worker;
        along_y.run(columns + 2 * (size_t)group * ny, out, out + 2 * (size_t)along_y.kept);
        vfloat* target = spectrum + 2 * (size_t)group * wy;
        for (int ky = ky_begin; ky < ky_end; ++ky, out += 2) {
            const int y = ky < 0 ? ky + wy : ky;
            target[2 * y] = out[0] * scale;
            target[2 * y + 1] = out[1] * scale;
        }
    });
}

// `lanes` rows from first_a on of plane a and from first_b on of plane b, both ny x nx and already
// transformed along y, as the real and imaginary part of lines of nx: z = a + i b for both signs of kx, those
// up to `reach`.
static inline void gather_lines(const vfloat* a, int first_a, const vfloat* b, int first_b, int ny, int nx,
                                int reach, vfloat* line) {
    const int rows_a = min_int(lanes, ny - first_a), rows_b = min_int(lanes, ny - first_b);
    memset(line, 0, sizeof(vfloat) * 2 * nx);
    for (int kx = 0; kx <= reach; ++kx) {
        const size_t column = (size_t)(kx / lanes) * ny;
        const float* p = (const float*)a + (column + first_a) * 2 * lanes + kx % lanes;
        const float* q = (const float*)b + (column + first_b) * 2 * lanes + kx % lanes;
        vfloat a_re = {}, a_im = {}, b_re = {}, b_im = {};
        for (int r = 0; r < rows_a; ++r, p += 2 * lanes) {
            a_re[r] = p[0];
            a_im[r] = p[lanes];
        }
        for (int r = 0; r < rows_b; ++r, q += 2 * lanes) {
            b_re[r] = q[0];
            b_im[r] = q[lanes];
        }
        if (kx == 0 || 2 * kx == nx) {  // a real signal has real coefficients here
            line[2 * kx] = a_re;
            line[2 * kx + 1] = b_re;
            continue;
        }
        line[2 * kx] = a_re - b_im;
        line[2 * kx + 1] = a_im + b_re;
        line[2 * (nx - kx)] = a_re + b_im;
        line[2 * (nx - kx) + 1] = b_re - a_im;
    }
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
