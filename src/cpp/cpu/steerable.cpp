// Responses of an image to steerable filters: those of order 0 one by one, the others as a sum of powers.
//
// Two filters of order 0, or the cosine and the sine part of another, are the real and imaginary part of
// one inverse transform, so every pass costs one complex inverse.
#include "cpu/kernels.h"
#include "cpu/plane_fft.h"
#include "math/steerable.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// What multiplies the spectrum: radius in the tables, and direction.
struct Point {
    vint index;
    vfloat fraction, cosine, sine;
};

struct SteerableBank {
    const SteerableArgs& a;
    const int column_groups, row_groups;
    const Fft<float, vfloat> along_y, along_x;
    Buffer<vfloat> spectrum, first, second;  // first, second: the two planes of a pass
    Buffer<Point> points;                    // [column groups][py]
    Buffer<vfloat> power;                    // [row groups][px]; the lanes are rows
    const size_t scratch;
    Buffer<vfloat> memory;

    explicit SteerableBank(const SteerableArgs& args)
        : a(args),
          column_groups(groups_of(lanes, args.px / 2 + 1)),
          row_groups(groups_of(lanes, args.ny)),
          along_y(args.py),
          along_x(args.px),
          spectrum(spectrum_size(args.py, args.px)),
          first(spectrum_size(args.py, args.px)),
          second(spectrum_size(args.py, args.px)),
          points((size_t)column_groups * args.py),
          power((size_t)row_groups * args.px),
          scratch(4 * (size_t)max_int(args.py, args.px)),
          memory(scratch * workers_for(args.threads, max_int(row_groups, column_groups))) {}

    void prepare() {
        struct Padded {
            const SteerableArgs& a;
            void row(int y, int x_begin, int x_end, float* out) const {
                for (int x = x_begin; x < x_end; ++x)
                    *out++ = y < a.ny && x < a.nx ? a.image[(size_t)y * a.nx + x] : 0.0f;
            }
        };
        low_frequencies(Padded{a}, a.py, a.px, a.py, a.px, a.threads, spectrum);
        memset(power.data, 0, sizeof(vfloat) * (size_t)row_groups * a.px);
        parallel_for(column_groups, a.threads, [&](int group, int) {
            for (int y = 0; y < a.py; ++y) {
                Point& p = points[(size_t)group * a.py + y];
                for (int lane = 0; lane < lanes; ++lane) {
                    const int kx = min_int(group * lanes + lane, a.px / 2), ky = 2 * y <= a.py ? y : y - a.py;
                    const SteerablePoint q = steerable_point((double)kx / a.px, (double)ky / a.py, a.samples);
                    p.index[lane] = q.index;
                    p.fraction[lane] = q.fraction;
                    p.cosine[lane] = q.cosine;
                    p.sine[lane] = q.sine;
                }
            }
        });
    }

    BOXWOOD_INLINE vfloat look_up(const float* table, const Point& p) const {
        vfloat low, high;
        for (int lane = 0; lane < lanes; ++lane) {
            low[lane] = table[p.index[lane]];
            high[lane] = table[p.index[lane] + 1];
        }
        return low + (high - low) * p.fraction;
    }

    // Both planes of a pass. Only the magnitude of orders above 0 is asked for, so a factor (-i)^m is
    // needed as far as it keeps the two planes real.
    void multiply(int one, int other) {
        const int order = a.orders[one];
        const float* table = a.tables + (size_t)one * a.samples;
        const float* table2 = a.tables + (size_t)other * a.samples;
        parallel_for(column_groups, a.threads, [&](int group, int worker) {
            const size_t start = (size_t)group * a.py;
            for (int y = 0; y < a.py; ++y) {
                const Point& p = points[start + y];
                const vfloat re = spectrum[2 * (start + y)], im = spectrum[2 * (start + y) + 1];
                vfloat f, g;
                if (order == 0) {
                    f = look_up(table, p);
                    g = look_up(table2, p);
                } else {
                    const vfloat h = look_up(table, p);
                    turn_times(order, p.cosine, p.sine, &f, &g);
                    f *= h;
                    g *= h;
                }
                const bool odd = order % 2 != 0;
                vfloat* u = first + 2 * (start + y);
                vfloat* v = second + 2 * (start + y);
                u[0] = f * (odd ? -im : re);
                u[1] = f * (odd ? re : im);
                v[0] = g * (odd ? -im : re);
                v[1] = g * (odd ? re : im);
            }
            vfloat* work = memory + scratch * worker;
            along_y.template run<1>(first + 2 * start, work);
            along_y.template run<1>(second + 2 * start, work);
        });
    }

    template <class Take>
    void rows(const Take& take) {
        parallel_for(row_groups, a.threads, [&](int group, int worker) {
            vfloat* line = memory + scratch * worker;
            gather_lines(first, group * lanes, second, group * lanes, a.py, a.px, a.px / 2, line);
            along_x.template run<1>(line, line + 2 * (size_t)a.px);
            take(group, line);
        });
    }

    void write(int group, const float* in, size_t stride, float* out) const {
        for (int r = 0; r < min_int(lanes, a.ny - group * lanes); ++r)
            for (int x = 0; x < a.nx; ++x)
                out[(size_t)(group * lanes + r) * a.nx + x] = in[(size_t)x * stride + r];
    }
};

void steerable(const SteerableArgs& a) {
    SteerableBank bank(a);
    bank.prepare();
    const size_t plane = (size_t)a.ny * a.nx;
    float* linear = a.linear;
    for (int filter = 0, waiting = -1; filter <= a.filters; ++filter) {
        const bool end = filter == a.filters;
        if (end ? waiting >= 0 : a.orders[filter] == 0) {
            if (!end && waiting < 0) {
                waiting = filter;
                continue;
            }
            const int other = end ? waiting : filter;
            bank.multiply(waiting, other);
            bank.rows([&](int group, const vfloat* line) {
                bank.write(group, (const float*)line, rows_at_once, linear);
                if (other != waiting) bank.write(group, (const float*)(line + 1), rows_at_once, linear + plane);
            });
            linear += other != waiting ? 2 * plane : plane;
            waiting = -1;
        } else if (!end) {
            const float weight = a.weights[filter];
            bank.multiply(filter, filter);
            bank.rows([&](int group, const vfloat* line) {
                vfloat* sum = bank.power + (size_t)group * a.px;
                for (int x = 0; x < a.nx; ++x)
                    sum[x] += weight * (line[2 * x] * line[2 * x] + line[2 * x + 1] * line[2 * x + 1]);
            });
        }
    }
    for (int group = 0; group < bank.row_groups; ++group)
        bank.write(group, (const float*)(bank.power + (size_t)group * a.px), lanes, a.power);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
