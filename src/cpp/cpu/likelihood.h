// First half of the expectation of one image: log-likelihoods of classes and angles at a vector of offsets.
#pragma once
#include "cpu/expectation.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

class Likelihood {
public:
    const ExpectationTables& s;
    const ExpectationArgs& a;
    Buffer<float> ctf_power;  // [rings][3][re, im]: harmonics 0, 2, 4 of weight CTF^2

    explicit Likelihood(const ExpectationTables& tables)
        : s(tables),
          a(tables.a),
          ctf_power((size_t)6 * a.rings),
          weighted_((size_t)2 * a.samples),
          ring_(longest_ring() * 2),
          norm_((size_t)s.class_vectors * 6),
          inverse_norm_((size_t)s.class_vectors * a.psi),
          spectra_((size_t)s.bins * class_tile * 2),
          low_((size_t)3 * class_tile * 2),
          zero_((size_t)class_tile * 2),
          rounded_(a.precision == precision_bf16 ? a.coefficients : 0),
          line_((size_t)2 * a.psi),
          work_((size_t)2 * a.psi) {
        memset(zero_, 0, sizeof(vfloat) * class_tile * 2);
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

    // Harmonics 0, 2, 4 in psi of the norm of every reference under this image's CTF, on the first rings.
    void norms(int rings) {
        for (int kv = 0; kv < s.class_vectors; ++kv) {
            vfloat q[6] = {};
            for (int r = 0; r < rings; ++r) {
                const vfloat* b = s.power + ((size_t)kv * a.rings + r) * 6;
                const float* g = ctf_power + 6 * r;
                for (int i = 0; i < 6; i += 2) {
                    q[i] += b[i] * g[i] + b[i + 1] * g[i + 1];
                    q[i + 1] += b[i] * g[i + 1] - b[i + 1] * g[i];
                }
            }
            for (int i = 0; i < 6; ++i) norm_[6 * kv + i] = q[i];
            if (a.hard) invert_norm(kv);
        }
    }

    // Values of the listed classes at one vector of offsets: keep(class, angles) is called for each, where
    // every second vector of `angles` is one psi. prior: log-priors of the offsets. shifted: room for the
    // coefficients of the shifted image, packed as the references are.
    template <class Keep>
    void search(const OffsetGrid& grid, int tv, const int* classes, int count, vfloat prior, vfloat* shifted,
                const Keep& keep) {
        shift_and_transform(grid, tv, shifted);
        clear_spectra(grid);
        if (a.precision == precision_bf16) round_image(grid, shifted);
        const ClassTiles tiles(count);
        for (int i = 0; i < tiles.tiles; ++i) {
            const int* tile = classes + tiles.first(i);
            const int n = tiles.size(i);
            products(grid, tile, n, prior, shifted);
            for (int c = 0; c < n; c += 2) to_angles(tile, c, n, prior, keep);
        }
    }

    // The shifted image in bfloat16, for products.
    void round_image(const OffsetGrid& grid, const vfloat* shifted) {
        for (int m = 0; m <= grid.top; ++m)
            for (int c = s.start[m]; c < s.start[m] + grid.rings - s.first_ring[m]; ++c)
                rounded_[c] = bfloat16_pair(shifted[2 * c], shifted[2 * c + 1]);
    }

    // Empties the bins that no harmonic of these rings reaches; products() fills the others.
    void clear_spectra(const OffsetGrid& grid) {
        const int used = grid.top < s.bins ? grid.top + 1 : s.bins;
        memset(spectra_ + (size_t)used * class_tile * 2, 0,
               sizeof(vfloat) * (s.bins - used) * class_tile * 2);
    }

    // Spectra of up to class_tile classes at one vector of offsets; the real bins have half their values.
    void products(const OffsetGrid& grid, const int* classes, int n, vfloat prior, const vfloat* shifted) {
        begin_spectra(classes, n, prior);
        if (a.precision == precision_bf16)
            correlate_some<Half, class_tile>(grid, classes, n, rounded_);
        else
            correlate_some<Single, class_tile>(grid, classes, n, shifted);
    }

private:
    Buffer<float> weighted_;  // [samples][re, im]
    Buffer<vfloat> ring_;
    Buffer<vfloat> norm_;          // [class_vectors][3][re, im], classes along the lanes
    Buffer<vfloat> inverse_norm_;  // [class_vectors][psi], hard assignment only
    Buffer<vfloat> spectra_;       // [bins][class_tile][re, im], offsets along the lanes
    Buffer<vfloat> low_;           // [3][class_tile][re, im], what harmonics 0, 2, 4 begin with
    Buffer<vfloat> zero_;          // [class_tile][re, im], what the others begin with
    Buffer<vint> rounded_;         // [coefficients] pairs of bfloat16
    Buffer<vfloat> line_, work_;

    size_t longest_ring() const {
        int n = 0;
        for (int r = 0; r < a.rings; ++r) n = a.ring_samples[r] > n ? a.ring_samples[r] : n;
        return (size_t)2 * n;
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

    // Y of one vector of offsets: all harmonics of the searched rings of the shifted image.
    void shift_and_transform(const OffsetGrid& grid, int tv, vfloat* out) {
        const vfloat* phases = grid.phases + (size_t)tv * s.sample_start[grid.rings] * 2;
        for (int r = 0; r < grid.rings; ++r) {
            const int n = a.ring_samples[r], h = n / 2, q = n / 4, first = s.sample_start[r];
            const float* roots = s.ring_roots + (size_t)4 * first;
            const vfloat* phase = phases + (size_t)2 * first;
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

    // Priors and half the norm, which are added to the likelihood as its low harmonics in psi.
    void begin_spectra(const int* classes, int n, vfloat prior) {
        if (a.hard) memset(low_, 0, sizeof(vfloat) * 3 * class_tile * 2);
        for (int c = 0; c < n && !a.hard; ++c) {
            const int k = classes[c];
            const vfloat* q = norm_ + 6 * (k / lanes);
            const int l = k % lanes;
            vfloat* z = low_ + 2 * c;
            z[0] = prior + (a.log_prior_class[k] - 0.5f * q[0][l]);
            z[1] = vfloat{};
            for (int i = 2; i < 6; i += 2) {
                z[(size_t)i * class_tile] = splat(-0.5f * q[i][l]);
                z[(size_t)i * class_tile + 1] = splat(-0.5f * q[i + 1][l]);
            }
        }
    }

    // The instance of correlate_block for this number of classes.
    template <class Precision, int most>
    BOXWOOD_INLINE void correlate_some(const OffsetGrid& grid, const int* classes, int n,
                                       const typename Precision::Vector* image) {
        if constexpr (most > 0) {
            if (n == most)
                correlate_block<Precision, most>(grid, classes, image);
            else
                correlate_some<Precision, most - 1>(grid, classes, n, image);
        }
    }

    template <class Precision, int classes>
    __attribute__((noinline)) void correlate_block(const OffsetGrid& grid, const int* list,
                                                   const typename Precision::Vector* image) {
        const typename Precision::Word* references[classes];
        for (int c = 0; c < classes; ++c) s.reference(list[c], references[c]);
        // The bin of m goes up and down between 0 and psi/2, and is there as its conjugate on the way down.
        const int last = a.psi / 2;
        for (int m = 0, b = 0, step = 1; m <= grid.top; ++m, b += step) {
            vfloat* z = spectra_ + (size_t)b * class_tile * 2;
            const vfloat* begin = m > last ? z : m % 2 == 0 && m <= 4 ? low_ + m * class_tile : zero_;
            correlate<Precision, classes>(references, s.start[m], image, grid.rings - s.first_ring[m],
                                          step < 0, begin, z);
            // Harmonics m and -m meet in the bins 0 and psi/2: all but m = 0 count twice there, see to_angles.
            if (m == 0)
                for (int c = 0; c < classes; ++c) z[2 * c] *= 0.5f;
            else if (b == 0 || b == last)
                step = -step;
        }
    }

    // All angles of class c and its neighbour by one complex transform.
    template <class Keep>
    void to_angles(const int* classes, int c, int n, vfloat prior, const Keep& keep) {
        const size_t step = class_tile * 2;
        const vfloat* z1 = spectra_ + 2 * c;
        const vfloat* z2 = c + 1 < n ? z1 + 2 : z1;
        const size_t last = (size_t)(a.psi / 2) * step;
        line_[0] = 2.0f * z1[0];
        line_[1] = 2.0f * z2[0];
        line_[a.psi] = 2.0f * z1[last];
        line_[a.psi + 1] = 2.0f * z2[last];
        for (int b = 1; b < a.psi / 2; ++b) {
            const vfloat r1 = z1[b * step], i1 = z1[b * step + 1], r2 = z2[b * step], i2 = z2[b * step + 1];
            line_[2 * b] = r1 - i2;
            line_[2 * b + 1] = i1 + r2;
            line_[2 * (a.psi - b)] = r1 + i2;
            line_[2 * (a.psi - b) + 1] = r2 - i1;
        }
        s.psi_plan.run<-1>(line_, work_);
        for (int side = 0; side < 2 && c + side < n; ++side) {
            const int k = classes[c + side];
            vfloat* angles = line_ + side;
            if (a.hard) {
                const float* inverse =
                    (const float*)(inverse_norm_ + (size_t)(k / lanes) * a.psi) + k % lanes;
                for (int i = 0; i < a.psi; ++i)
                    angles[2 * i] = prior > 0.5f * impossible ? angles[2 * i] * inverse[i * lanes] : prior;
            }
            if (a.log_prior_psi)
                for (int i = 0; i < a.psi; ++i) angles[2 * i] += a.log_prior_psi[i];
            keep(k, angles);
        }
    }
};

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
