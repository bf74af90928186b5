// Expectation of Class2D in polar Fourier coordinates; method and equations in docs/class2d.md.
//
// One image at a time, classes along the lanes:
//   rotate-and-shift  Y[offset][harmonic, ring]: phases on the ring samples, then a Fourier transform of
//                     each ring, offsets along the lanes;
//   correlate         Z[class, offset](m) = sum over rings conj(A) Y, a small matrix product per harmonic;
//   likelihood        inverse transform of Z over m gives all in-plane angles at once; the norm of the
//                     reference and the priors are added to Z before it, where they cost nothing;
//   posterior         exponentials of the (class, offset) pairs that matter;
//   accumulate        numerator N[class](m, ring) += sum over offsets W(m) Y, W the transform of the
//                     posterior over angles: the transposed matrix product.
#include "cpu/likelihood.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

// A batch is summed in this many parts, whatever the number of threads, so that rounding is the same.
constexpr int parts = 16;

// Sums over the images of one part, classes along the lanes.
struct Sums {
    size_t numerator_size, denominator_size;
    Buffer<vfloat> numerator;    // [class_vectors][coefficients][re, im]
    Buffer<vfloat> denominator;  // [class_vectors][rings][3][re, im]
    explicit Sums(const ExpectationTables& s)
        : numerator_size((size_t)s.class_vectors * s.a.coefficients * 2),
          denominator_size((size_t)s.class_vectors * s.a.rings * 6),
          numerator(numerator_size),
          denominator(denominator_size) {
        memset(numerator, 0, sizeof(vfloat) * numerator_size);
        memset(denominator, 0, sizeof(vfloat) * denominator_size);
    }
};

// Second half: the posterior of one image, and its share of the sums. One worker's scratch.
class ImageExpectation {
public:
    explicit ImageExpectation(const ExpectationTables& tables)
        : s(tables),
          a(tables.a),
          l_(tables),
          offset_sum_(a.t),
          class_sum_(s.class_vectors),
          active_(a.t),
          image_of_(a.t),
          line_((size_t)2 * a.psi),
          work_((size_t)2 * a.psi),
          posterior_((size_t)a.t * s.bins * 2),
          ring_cross_(a.rings),
          ring_model_(a.rings) {}

    void run(int image, Sums& sums) {
        l_.run(image);
        find_best(image);
        exponentiate(image);
        for (int r = 0; r < a.rings; ++r) ring_cross_[r] = ring_model_[r] = vfloat{};
        for (int kv = 0; kv < s.class_vectors; ++kv) accumulate_class(kv, sums);
        for (int r = 0; r < a.rings; ++r) {
            a.cross[(size_t)image * a.rings + r] = horizontal_sum(ring_cross_[r]);
            a.model[(size_t)image * a.rings + r] = horizontal_sum(ring_model_[r]);
        }
    }

private:
    const ExpectationTables& s;
    const ExpectationArgs& a;
    Likelihood l_;
    Buffer<float> offset_sum_;
    Buffer<vfloat> class_sum_;
    Buffer<int> active_;
    Buffer<const float*> image_of_;
    Buffer<vfloat> line_, work_;
    Buffer<vfloat> posterior_;  // [bins][active offsets, stride t][re, im]
    Buffer<vfloat> ring_cross_, ring_model_;
    float total_ = 0;

    // The first (class, offset, psi) that reaches the largest value.
    void find_best(int image) {
        int* best = a.best + 3 * (size_t)image;
        best[0] = best[1] = best[2] = 0;
        for (int kv = 0; kv < s.class_vectors; ++kv)
            for (int t = 0; t < a.t; ++t) {
                if (horizontal_max(l_.peak[(size_t)kv * a.t + t]) != l_.best) continue;
                const vfloat* v = l_.values + ((size_t)kv * a.t + t) * a.psi;
                for (int l = 0; l < lanes; ++l)
                    for (int i = 0; i < a.psi; ++i)
                        if (v[i][l] == l_.best) {
                            best[0] = kv * lanes + l;
                            best[1] = i;
                            best[2] = t;
                            return;
                        }
            }
    }

    // Replaces kept log-likelihoods by exp(value - best) and sums them in every direction.
    void exponentiate(int image) {
        const int* best = a.best + 3 * (size_t)image;
        vfloat entropy = vfloat{};
        total_ = 0;
        for (int t = 0; t < a.t; ++t) offset_sum_[t] = 0;
        for (int kv = 0; kv < s.class_vectors; ++kv) {
            vfloat of_class = vfloat{};
            for (int t = 0; t < a.t; ++t) {
                if (!l_.matters(kv, t)) continue;
                vfloat* v = l_.values + ((size_t)kv * a.t + t) * a.psi;
                vfloat sum = vfloat{};
                if (a.hard) {
                    for (int i = 0; i < a.psi; ++i) v[i] = vfloat{};
                    if (kv == best[0] / lanes && t == best[2])
                        sum[best[0] % lanes] = v[best[1]][best[0] % lanes] = 1.0f;
                } else {
                    for (int i = 0; i < a.psi; ++i) {
                        const vfloat x = v[i] - l_.best, e = vexp(x);
                        v[i] = e;
                        sum += e;
                        entropy += e * vmax(x, splat(-100.0f));
                    }
                }
                of_class += sum;
                offset_sum_[t] += horizontal_sum(sum);
            }
            class_sum_[kv] = of_class;
            total_ += horizontal_sum(of_class);
        }
        const float inverse = 1.0f / total_;
        for (int k = 0; k < a.k; ++k)
            a.class_posterior[(size_t)image * a.k + k] = class_sum_[k / lanes][k % lanes] * inverse;
        for (int t = 0; t < a.t; ++t) a.offset_posterior[(size_t)image * a.t + t] = offset_sum_[t] * inverse;
        float* out = a.statistics + 4 * (size_t)image;
        out[0] = l_.best + logf(total_);
        out[1] = inverse;
        out[2] = logf(total_) - horizontal_sum(entropy) * inverse;
        out[3] = l_.best;
    }

    // Posterior over psi to harmonics, for the active offsets of one class vector. Returns their number.
    int posterior_harmonics(int kv) {
        int count = 0;
        for (int t = 0; t < a.t; ++t)
            if (l_.matters(kv, t)) {
                active_[count] = t;
                image_of_[count++] =
                    (const float*)(l_.shifted + (size_t)(t / lanes) * a.coefficients * 2) + t % lanes;
            }
        const float inverse = 1.0f / total_;
        for (int i = 0; i < count; i += 2) {
            const bool pair = i + 1 < count;
            const vfloat* p1 = l_.values + ((size_t)kv * a.t + active_[i]) * a.psi;
            const vfloat* p2 = pair ? l_.values + ((size_t)kv * a.t + active_[i + 1]) * a.psi : p1;
            for (int j = 0; j < a.psi; ++j) {
                line_[2 * j] = p1[j] * inverse;
                line_[2 * j + 1] = p2[j] * inverse;
            }
            s.psi_plan.run<-1>(line_, work_);
            for (int b = 0; b < s.bins; ++b) {
                const int mirror = (a.psi - b) % a.psi;
                const vfloat cr = line_[2 * b], ci = line_[2 * b + 1], dr = line_[2 * mirror],
                             di = line_[2 * mirror + 1];
                vfloat* w = posterior_ + ((size_t)b * a.t + i) * 2;
                w[0] = 0.5f * (cr + dr);
                w[1] = 0.5f * (ci - di);
                if (pair) {
                    w[2] = 0.5f * (ci + di);
                    w[3] = 0.5f * (dr - cr);
                }
            }
        }
        return count;
    }

    void accumulate_class(int kv, Sums& sums) {
        const int count = posterior_harmonics(kv);
        if (count == 0) return;
        for (int m = 0; m <= s.top; ++m) {
            bool conjugate;
            const int b = s.bin(m, conjugate), c = s.start[m], n = s.start[m + 1] - c;
            const float sign = conjugate ? -1.0f : 1.0f;
            int r = 0;
            for (; r + tile <= n; r += tile) add_rings<tile>(kv, m, b, sign, c + r, r, count, sums);
            for (; r < n; ++r) add_rings<1>(kv, m, b, sign, c + r, r, count, sums);
        }
        add_denominator(kv, count, sums);
    }

    template <int rings_in_tile>
    BOXWOOD_INLINE void add_rings(int kv, int m, int b, float sign, int c, int r, int count, Sums& sums) {
        vfloat re[rings_in_tile], im[rings_in_tile];
        accumulate<rings_in_tile>(posterior_ + (size_t)b * a.t * 2, sign, image_of_, c, count, re, im);
        vfloat* n = sums.numerator + ((size_t)kv * a.coefficients + c) * 2;
        const vfloat* ref = s.references + ((size_t)kv * a.coefficients + c) * 2;
        const float twice = m > 0 ? 2.0f : 1.0f;
        for (int i = 0; i < rings_in_tile; ++i) {
            n[2 * i] += re[i];
            n[2 * i + 1] += im[i];
            ring_cross_[s.first_ring[m] + r + i] += (ref[2 * i] * re[i] + ref[2 * i + 1] * im[i]) * twice;
        }
    }

    // Denominator harmonics 0, 2, 4 and the power of the model.
    void add_denominator(int kv, int count, Sums& sums) {
        vfloat p[6] = {};
        for (int i = 0; i < count; ++i)
            for (int j = 0; j < 3; ++j) {
                const vfloat* w = posterior_ + ((size_t)2 * j * a.t + i) * 2;
                p[2 * j] += w[0];
                p[2 * j + 1] += w[1];
            }
        for (int r = 0; r < a.rings; ++r) {
            const float* g = l_.ctf_power + 6 * r;
            vfloat* d = sums.denominator + ((size_t)kv * a.rings + r) * 6;
            const vfloat* b = s.power + ((size_t)kv * a.rings + r) * 6;
            for (int j = 0; j < 6; j += 2) {
                const vfloat re = p[j] * g[j] - p[j + 1] * g[j + 1], im = p[j] * g[j + 1] + p[j + 1] * g[j];
                d[j] += re;
                d[j + 1] += im;
                ring_model_[r] += (b[j] * re + b[j + 1] * im) * (j ? 2.0f : 1.0f);
            }
        }
    }
};

// sums [vector][m][lane] added to out [k][m] in double.
void unpack_add(const vfloat* sums, int k, size_t m, double* out) {
    for (int i = 0; i < k; ++i) {
        const float* in = (const float*)(sums + (size_t)(i / lanes) * m) + i % lanes;
        for (size_t j = 0; j < m; ++j) out[i * m + j] += in[j * lanes];
    }
}

}  // namespace

void expectation(const ExpectationArgs& a) {
    const ExpectationTables tables(a);
    const int tasks = a.n < parts ? a.n : parts;
    Buffer<Sums*> sums(tasks > 0 ? tasks : 1);
    parallel_for(tasks, a.threads, [&](int task, int) {
        ImageExpectation worker(tables);
        sums[task] = new Sums(tables);
        const int first = (int)((long)a.n * task / tasks), last = (int)((long)a.n * (task + 1) / tasks);
        for (int i = first; i < last; ++i) worker.run(i, *sums[task]);
    });
    for (int task = 0; task < tasks; ++task) {
        unpack_add(sums[task]->numerator, a.k, (size_t)a.coefficients * 2, a.numerator);
        unpack_add(sums[task]->denominator, a.k, (size_t)a.rings * 6, a.denominator);
        delete sums[task];
    }
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
