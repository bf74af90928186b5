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
#include "cpu/expectation.h"

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
          denominator_size((size_t)s.class_vectors * s.a.rings * 6), numerator(numerator_size),
          denominator(denominator_size) {
        memset(numerator, 0, sizeof(vfloat) * numerator_size);
        memset(denominator, 0, sizeof(vfloat) * denominator_size);
    }
};

// Scratch of one worker, and the steps for one image.
class ImageExpectation {
public:
    explicit ImageExpectation(const ExpectationTables& tables)
        : s(tables), a(tables.a), weighted_((size_t)2 * a.samples), ctf_power_((size_t)6 * a.rings),
          shifted_((size_t)s.offset_vectors * a.coefficients * 2), ring_(longest_ring() * 2),
          norm_((size_t)s.class_vectors * 6), inverse_norm_((size_t)s.class_vectors * a.psi),
          spectrum_((size_t)lanes * s.bins * 2), line_((size_t)2 * a.psi), work_((size_t)2 * a.psi),
          peak_((size_t)s.class_vectors * a.t), likelihood_((size_t)s.class_vectors * a.t * a.psi),
          offset_sum_(a.t), class_sum_(s.class_vectors), active_(a.t), image_of_(a.t),
          posterior_((size_t)a.t * s.bins * 2), ring_cross_(a.rings), ring_model_(a.rings) {}

    void run(int image, Sums& sums) {
        weigh(image);
        norms();
        best_ = -1e30f;
        for (int tv = 0; tv < s.offset_vectors; ++tv) {
            shift_and_transform(tv);
            for (int kv = 0; kv < s.class_vectors; ++kv) {
                correlate_all(image, kv, tv);
                to_angles(kv, tv);
            }
        }
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
    float best_;
    Buffer<float> weighted_;   // [samples][re, im]
    Buffer<float> ctf_power_;  // [rings][3][re, im]: harmonics 0, 2, 4 of weight CTF^2
    Buffer<vfloat> shifted_;   // [offset_vectors][coefficients][re, im], offsets along the lanes
    Buffer<vfloat> ring_;
    Buffer<vfloat> norm_;          // [class_vectors][3][re, im]
    Buffer<vfloat> inverse_norm_;  // [class_vectors][psi], hard assignment only
    Buffer<vfloat> spectrum_;      // [lanes offsets][bins][re, im]
    Buffer<vfloat> line_, work_;
    Buffer<vfloat> peak_;        // [class_vectors][t] largest over psi
    Buffer<vfloat> likelihood_;  // [class_vectors][t][psi]; later exp(value - best)
    Buffer<float> offset_sum_;
    Buffer<vfloat> class_sum_;
    Buffer<int> active_;
    Buffer<const float*> image_of_;
    Buffer<vfloat> posterior_;  // [bins][active offsets, stride t][re, im]
    Buffer<vfloat> ring_cross_, ring_model_;
    float total_ = 0;

    size_t longest_ring() const {
        int n = 0;
        for (int r = 0; r < a.rings; ++r) n = a.ring_samples[r] > n ? a.ring_samples[r] : n;
        return (size_t)2 * n;
    }

    // weight * CTF * image on the samples, and the low harmonics of weight * CTF^2.
    void weigh(int image) {
        const float* x = a.images + (size_t)image * a.stride * 2;
        const float* ctf = a.ctf + (size_t)image * a.stride;
        const float* weights = a.weights + (size_t)a.group[image] * a.rings;
        const float image_scale = a.scale[2 * image], ctf_scale = a.scale[2 * image + 1];
        for (int r = 0; r < a.rings; ++r) {
            const float w = weights[r], wx = w * image_scale * ctf_scale, wc = w * ctf_scale * ctf_scale;
            const float* roots = s.ring_roots + (size_t)4 * s.sample_start[r];
            const int first = s.sample_start[r], n = s.sample_start[r + 1] - first;
            float g[6] = {};
            for (int j = 0; j < n; ++j) {
                const float c = ctf[first + j], p = 2 * wc * c * c;
                weighted_[2 * (first + j)] = wx * c * x[2 * (first + j)];
                weighted_[2 * (first + j) + 1] = wx * c * x[2 * (first + j) + 1];
                const int j2 = 2 * j, j4 = 4 * j % (2 * n);
                g[0] += p;
                g[2] += p * roots[2 * j2];
                g[3] -= p * roots[2 * j2 + 1];
                g[4] += p * roots[2 * j4];
                g[5] -= p * roots[2 * j4 + 1];
            }
            for (int i = 0; i < 6; ++i) ctf_power_[6 * r + i] = g[i];
        }
    }

    // Harmonics 0, 2, 4 in psi of the norm of every reference under this image's CTF.
    void norms() {
        for (int kv = 0; kv < s.class_vectors; ++kv) {
            vfloat* q = norm_ + 6 * kv;
            for (int i = 0; i < 6; ++i) q[i] = vfloat{};
            for (int r = 0; r < a.rings; ++r) {
                const vfloat* b = s.power + ((size_t)kv * a.rings + r) * 6;
                const float* g = ctf_power_ + 6 * r;
                for (int i = 0; i < 6; i += 2) {
                    q[i] += b[i] * g[i] + b[i + 1] * g[i + 1];
                    q[i + 1] += b[i] * g[i + 1] - b[i + 1] * g[i];
                }
            }
            if (a.hard) invert_norm(kv);
        }
    }

    void invert_norm(int kv) {
        const vfloat* q = norm_ + 6 * kv;
        for (int i = 0; i < a.psi; ++i) {
            const int i2 = 2 * i % a.psi, i4 = 4 * i % a.psi;
            const vfloat norm = q[0] + 2.0f * (q[2] * s.psi_roots[2 * i2] + q[3] * s.psi_roots[2 * i2 + 1] +
                                               q[4] * s.psi_roots[2 * i4] + q[5] * s.psi_roots[2 * i4 + 1]);
            vfloat inverse;
            for (int l = 0; l < lanes; ++l) inverse[l] = norm[l] > 1e-20f ? 1.0f / sqrtf(norm[l]) : 0.0f;
            inverse_norm_[(size_t)kv * a.psi + i] = inverse;
        }
    }

    // Y of one vector of offsets: all harmonics of all rings of the shifted image.
    void shift_and_transform(int tv) {
        vfloat* out = shifted_ + (size_t)tv * a.coefficients * 2;
        for (int r = 0; r < a.rings; ++r) {
            const int n = a.ring_samples[r], h = n / 2, q = n / 4, first = s.sample_start[r];
            const float* roots = s.ring_roots + (size_t)4 * first;
            const vfloat* phase = s.phases + ((size_t)tv * a.samples + first) * 2;
            const float* x = weighted_ + 2 * first;
            vfloat* even = ring_;
            vfloat* odd = ring_ + 2 * q;
            vfloat* imaginary = ring_ + 4 * q;
            vfloat* work = ring_ + 4 * q + h;
            // The transform of a real image has conjugate values on opposite samples: even harmonics
            // come from the real parts of half a circle, odd ones from the imaginary parts.
            for (int j = 0; j < h; ++j) {
                even[j] = x[2 * j] * phase[2 * j] - x[2 * j + 1] * phase[2 * j + 1];
                imaginary[j] = x[2 * j] * phase[2 * j + 1] + x[2 * j + 1] * phase[2 * j];
            }
            for (int j = 0; j < q; ++j) {
                const float c = roots[2 * j], w = roots[2 * j + 1];
                odd[2 * j] = imaginary[j] * c - imaginary[j + q] * w;
                odd[2 * j + 1] = -(imaginary[j] * w + imaginary[j + q] * c);
            }
            s.ring_plans[r]->run<-1>(even, work);
            s.ring_plans[r]->run<-1>(odd, work);
            for (int m = 0; m <= a.ring_harmonics[r]; ++m) {
                vfloat* y = out + 2 * (size_t)(s.start[m] + r - s.first_ring[m]);
                if (m % 2 == 0) {
                    const int i = m / 2 % q, mirror = (q - i) % q;
                    const vfloat gr = even[2 * i], gi = even[2 * i + 1], hr = even[2 * mirror],
                                 hi = -even[2 * mirror + 1];
                    const float c = roots[2 * m], w = roots[2 * m + 1];  // angle m / n * 2 pi = 2 pi (m/2) / h
                    const vfloat dr = gr - hr, di = gi - hi;
                    y[0] = (gr + hr) + (di * c - dr * w);
                    y[1] = (gi + hi) - (dr * c + di * w);
                } else if (m % 4 == 1) {
                    y[0] = 2.0f * odd[2 * (m / 4)];
                    y[1] = 2.0f * odd[2 * (m / 4) + 1];
                } else {
                    const int i = (n - m - 1) / 4;
                    y[0] = 2.0f * odd[2 * i];
                    y[1] = -2.0f * odd[2 * i + 1];
                }
            }
        }
    }

    // Spectra over psi of the log-likelihood (hard: of the correlation) for one class and offset vector.
    void correlate_all(int image, int kv, int tv) {
        for (int t = 0; t < lanes; ++t) {
            vfloat* z = spectrum_ + (size_t)t * s.bins * 2;
            for (int b = 0; b < 2 * s.bins; ++b) z[b] = vfloat{};
            if (a.hard) continue;
            const int offset = tv * lanes + t;
            const float prior = offset < a.t ? a.log_prior_offset[(size_t)image * a.t + offset] : 0.0f;
            const vfloat* q = norm_ + 6 * kv;
            z[0] = s.class_prior[kv] + prior - 0.5f * q[0];
            z[4] = -0.5f * q[2];
            z[5] = -0.5f * q[3];
            z[8] = -0.5f * q[4];
            z[9] = -0.5f * q[5];
        }
        const vfloat* references = s.references + (size_t)kv * a.coefficients * 2;
        const float* images = (const float*)(shifted_ + (size_t)tv * a.coefficients * 2);
        for (int m = 0; m <= s.top; ++m) {
            bool conjugate;
            const int b = s.bin(m, conjugate), c = s.start[m], n = s.start[m + 1] - c;
            // Harmonics m and -m meet in the bins 0 and psi/2, which are real.
            const float twice = m > 0 && (b == 0 || b == a.psi / 2) ? 2.0f : 1.0f;
            const float sign = conjugate ? -1.0f : b == 0 || b == a.psi / 2 ? 0.0f : 1.0f;
            for (int t0 = 0; t0 < lanes; t0 += tile) {
                vfloat re[tile], im[tile];
                correlate(references + 2 * c, images + (size_t)c * 2 * lanes + t0, n, re, im);
                vfloat* z = spectrum_ + ((size_t)t0 * s.bins + b) * 2;
                for (int t = 0; t < tile; ++t) {
                    z[(size_t)t * s.bins * 2] += re[t] * twice;
                    z[(size_t)t * s.bins * 2 + 1] += im[t] * sign;
                }
            }
        }
    }

    // All angles of the spectra, two offsets per complex transform; keeps what may matter.
    void to_angles(int kv, int tv) {
        for (int t = 0; t < lanes && tv * lanes + t < a.t; t += 2) {
            const vfloat* z1 = spectrum_ + (size_t)t * s.bins * 2;
            const vfloat* z2 = z1 + (size_t)s.bins * 2;
            line_[0] = z1[0];
            line_[1] = z2[0];
            line_[a.psi] = z1[a.psi];
            line_[a.psi + 1] = z2[a.psi];
            for (int b = 1; b < a.psi / 2; ++b) {
                line_[2 * b] = z1[2 * b] - z2[2 * b + 1];
                line_[2 * b + 1] = z1[2 * b + 1] + z2[2 * b];
                line_[2 * (a.psi - b)] = z1[2 * b] + z2[2 * b + 1];
                line_[2 * (a.psi - b) + 1] = z2[2 * b] - z1[2 * b + 1];
            }
            s.psi_plan.run<-1>(line_, work_);
            for (int side = 0; side < 2 && tv * lanes + t + side < a.t; ++side)
                keep(kv, tv * lanes + t + side, line_ + side);
        }
    }

    // values: every second vector is one psi.
    void keep(int kv, int offset, vfloat* values) {
        if (a.hard) {
            const vfloat* inverse = inverse_norm_ + (size_t)kv * a.psi;
            for (int i = 0; i < a.psi; ++i) values[2 * i] = values[2 * i] * inverse[i] + s.padding[kv];
        }
        if (a.log_prior_psi)
            for (int i = 0; i < a.psi; ++i) values[2 * i] += a.log_prior_psi[i];
        vfloat peak = values[0];
        for (int i = 1; i < a.psi; ++i) peak = vmax(peak, values[2 * i]);
        peak_[(size_t)kv * a.t + offset] = peak;
        const float highest = horizontal_max(peak);
        if (highest > best_) best_ = highest;
        if (highest < best_ - (a.hard ? 0.0f : a.cut)) return;
        vfloat* out = likelihood_ + ((size_t)kv * a.t + offset) * a.psi;
        for (int i = 0; i < a.psi; ++i) out[i] = values[2 * i];
    }

    bool matters(int kv, int offset) const {
        return horizontal_max(peak_[(size_t)kv * a.t + offset]) >= best_ - (a.hard ? 0.0f : a.cut);
    }

    // The first (class, offset, psi) that reaches the largest value.
    void find_best(int image) {
        int* best = a.best + 3 * (size_t)image;
        best[0] = best[1] = best[2] = 0;
        for (int kv = 0; kv < s.class_vectors; ++kv)
            for (int t = 0; t < a.t; ++t) {
                if (horizontal_max(peak_[(size_t)kv * a.t + t]) != best_) continue;
                const vfloat* v = likelihood_ + ((size_t)kv * a.t + t) * a.psi;
                for (int l = 0; l < lanes; ++l)
                    for (int i = 0; i < a.psi; ++i)
                        if (v[i][l] == best_) {
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
                if (!matters(kv, t)) continue;
                vfloat* v = likelihood_ + ((size_t)kv * a.t + t) * a.psi;
                vfloat sum = vfloat{};
                if (a.hard) {
                    for (int i = 0; i < a.psi; ++i) v[i] = vfloat{};
                    if (kv == best[0] / lanes && t == best[2])
                        sum[best[0] % lanes] = v[best[1]][best[0] % lanes] = 1.0f;
                } else {
                    for (int i = 0; i < a.psi; ++i) {
                        const vfloat x = v[i] - best_, e = vexp(x);
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
        out[0] = best_ + logf(total_);
        out[1] = inverse;
        out[2] = logf(total_) - horizontal_sum(entropy) * inverse;
        out[3] = best_;
    }

    // Posterior over psi to harmonics, for the active offsets of one class vector. Returns their number.
    int posterior_harmonics(int kv) {
        int count = 0;
        for (int t = 0; t < a.t; ++t)
            if (matters(kv, t)) {
                active_[count] = t;
                image_of_[count++] =
                    (const float*)(shifted_ + (size_t)(t / lanes) * a.coefficients * 2) + t % lanes;
            }
        const float inverse = 1.0f / total_;
        for (int i = 0; i < count; i += 2) {
            const bool pair = i + 1 < count;
            const vfloat* p1 = likelihood_ + ((size_t)kv * a.t + active_[i]) * a.psi;
            const vfloat* p2 = pair ? likelihood_ + ((size_t)kv * a.t + active_[i + 1]) * a.psi : p1;
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
            const float* g = ctf_power_ + 6 * r;
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
