// First half of the expectation of one image: log-likelihoods of all classes, angles and offsets.
#pragma once
#include "cpu/expectation.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

class Likelihood {
public:
    const ExpectationTables& s;
    const ExpectationArgs& a;
    float best;               // largest value of this image
    Buffer<float> ctf_power;  // [rings][3][re, im]: harmonics 0, 2, 4 of weight CTF^2
    Buffer<vfloat> shifted;   // [offset_vectors][coefficients][re, im], offsets along the lanes
    Buffer<vfloat> peak;      // [class_vectors][t] largest over psi
    Buffer<vfloat> values;    // [class_vectors][t][psi], only where matters(class vector, t)

    explicit Likelihood(const ExpectationTables& tables)
        : s(tables),
          a(tables.a),
          ctf_power((size_t)6 * a.rings),
          shifted((size_t)s.offset_vectors * a.coefficients * 2),
          peak((size_t)s.class_vectors * a.t),
          values((size_t)s.class_vectors * a.t * a.psi),
          weighted_((size_t)2 * a.samples),
          ring_(longest_ring() * 2),
          norm_((size_t)s.class_vectors * 6),
          inverse_norm_((size_t)s.class_vectors * a.psi),
          spectrum_((size_t)lanes * s.bins * 2),
          line_((size_t)2 * a.psi),
          work_((size_t)2 * a.psi) {}

    void run(int image) {
        weigh(image);
        norms();
        best = -1e30f;
        for (int tv = 0; tv < s.offset_vectors; ++tv) {
            shift_and_transform(tv);
            for (int kv = 0; kv < s.class_vectors; ++kv) {
                correlate_all(image, kv, tv);
                to_angles(kv, tv);
            }
        }
    }

    // Whether this class vector and offset have a say in the posterior.
    bool matters(int kv, int offset) const {
        return horizontal_max(peak[(size_t)kv * a.t + offset]) >= best - (a.hard ? 0.0f : a.cut);
    }

private:
    Buffer<float> weighted_;  // [samples][re, im]
    Buffer<vfloat> ring_;
    Buffer<vfloat> norm_;          // [class_vectors][3][re, im]
    Buffer<vfloat> inverse_norm_;  // [class_vectors][psi], hard assignment only
    Buffer<vfloat> spectrum_;      // [lanes offsets][bins][re, im]
    Buffer<vfloat> line_, work_;

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
            for (int i = 0; i < 6; ++i) ctf_power[6 * r + i] = g[i];
        }
    }

    // Harmonics 0, 2, 4 in psi of the norm of every reference under this image's CTF.
    void norms() {
        for (int kv = 0; kv < s.class_vectors; ++kv) {
            vfloat* q = norm_ + 6 * kv;
            for (int i = 0; i < 6; ++i) q[i] = vfloat{};
            for (int r = 0; r < a.rings; ++r) {
                const vfloat* b = s.power + ((size_t)kv * a.rings + r) * 6;
                const float* g = ctf_power + 6 * r;
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
        vfloat* out = shifted + (size_t)tv * a.coefficients * 2;
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
                    const float c = roots[2 * m],
                                w = roots[2 * m + 1];  // angle m / n * 2 pi = 2 pi (m/2) / h
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
        const float* images = (const float*)(shifted + (size_t)tv * a.coefficients * 2);
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

    // angles: every second vector is one psi.
    void keep(int kv, int offset, vfloat* angles) {
        if (a.hard) {
            const vfloat* inverse = inverse_norm_ + (size_t)kv * a.psi;
            for (int i = 0; i < a.psi; ++i) angles[2 * i] = angles[2 * i] * inverse[i] + s.padding[kv];
        }
        if (a.log_prior_psi)
            for (int i = 0; i < a.psi; ++i) angles[2 * i] += a.log_prior_psi[i];
        vfloat top = angles[0];
        for (int i = 1; i < a.psi; ++i) top = vmax(top, angles[2 * i]);
        peak[(size_t)kv * a.t + offset] = top;
        const float highest = horizontal_max(top);
        if (highest > best) best = highest;
        if (highest < best - (a.hard ? 0.0f : a.cut)) return;
        vfloat* out = values + ((size_t)kv * a.t + offset) * a.psi;
        for (int i = 0; i < a.psi; ++i) out[i] = angles[2 * i];
    }
};

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
