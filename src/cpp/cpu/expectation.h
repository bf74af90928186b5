// Shared pieces of the expectation: the order of coefficients, and the two small matrix products that
// all its time goes into. Everything is inlined into expectation.cpp.
#pragma once
#include "cpu/fft.h"
#include "cpu/kernels.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

typedef Fft<float, vfloat> LaneFft;

// Offsets handled per register tile of the products: eight accumulators hide the latency of the FMA.
constexpr int tile = 4;

// What all images of a batch share: index tables and references packed with classes along the lanes.
struct ExpectationTables {
    const ExpectationArgs& a;
    const int class_vectors, offset_vectors, bins, top;  // top: largest harmonic
    Buffer<int> first_ring, start;        // [top + 2]: of harmonic m, its first ring and first coefficient
    Buffer<int> sample_start;             // [rings + 1]
    Buffer<vfloat> references;            // [class_vectors][coefficients][re, im]
    Buffer<vfloat> power;                 // [class_vectors][rings][3][re, im]
    Buffer<vfloat> phases;                // [offset_vectors][samples][re, im]
    Buffer<vfloat> class_prior, padding;  // [class_vectors]; padding is 0, or -1e30 in lanes without a class
    Buffer<vfloat> psi_roots;             // [psi][cos, sin] splat
    Buffer<float> ring_roots;             // cos, sin of every sample angle, [2 samples][2] per ring
    Buffer<LaneFft*> ring_plans;          // [rings], of length ring_samples / 4
    LaneFft psi_plan;

    explicit ExpectationTables(const ExpectationArgs& args)
        : a(args),
          class_vectors((a.k + lanes - 1) / lanes),
          offset_vectors((a.t + lanes - 1) / lanes),
          bins(a.psi / 2 + 1),
          top(a.ring_harmonics[a.rings - 1]),
          first_ring(top + 2),
          start(top + 2),
          sample_start(a.rings + 1),
          references((size_t)class_vectors * a.coefficients * 2),
          power((size_t)class_vectors * a.rings * 6),
          phases((size_t)offset_vectors * a.samples * 2),
          class_prior(class_vectors),
          padding(class_vectors),
          psi_roots((size_t)2 * a.psi),
          ring_roots((size_t)4 * a.samples),
          ring_plans(a.rings),
          psi_plan(a.psi) {
        int c = 0;
        for (int m = 0, ring = 0; m <= top; ++m) {
            while (a.ring_harmonics[ring] < m) ++ring;
            first_ring[m] = ring;
            start[m] = c;
            c += a.rings - ring;
        }
        start[top + 1] = c;
        sample_start[0] = 0;
        for (int r = 0; r < a.rings; ++r) {
            const int n = a.ring_samples[r];
            sample_start[r + 1] = sample_start[r] + n / 2;
            float* roots = ring_roots + (size_t)4 * sample_start[r];
            for (int j = 0; j < n; ++j) {
                roots[2 * j] = (float)cos(2 * M_PI * j / n);
                roots[2 * j + 1] = (float)sin(2 * M_PI * j / n);
            }
            ring_plans[r] = new LaneFft(n / 4);
        }
        pack(a.references, a.k, (size_t)a.coefficients * 2, (float*)(vfloat*)references);
        pack(a.power, a.k, (size_t)a.rings * 6, (float*)(vfloat*)power);
        pack(a.phases, a.t, (size_t)a.samples * 2, (float*)(vfloat*)phases);
        for (int v = 0; v < class_vectors; ++v)
            for (int i = 0; i < lanes; ++i) {
                const int k = v * lanes + i;
                ((float*)&class_prior[v])[i] = k < a.k ? a.log_prior_class[k] : -1e30f;
                ((float*)&padding[v])[i] = k < a.k ? 0.0f : -1e30f;
            }
        for (int i = 0; i < a.psi; ++i) {
            psi_roots[2 * i] = splat((float)cos(2 * M_PI * i / a.psi));
            psi_roots[2 * i + 1] = splat((float)sin(2 * M_PI * i / a.psi));
        }
    }
    ~ExpectationTables() {
        for (int r = 0; r < a.rings; ++r) delete ring_plans[r];
    }

    // [n][m] to [vectors of n][m][lane], zero-padded.
    static void pack(const float* in, int n, size_t m, float* out) {
        for (int i0 = 0; i0 < n; i0 += lanes)
            for (size_t j = 0; j < m; ++j)
                for (int i = 0; i < lanes; ++i) *out++ = i0 + i < n ? in[(i0 + i) * m + j] : 0.0f;
    }

    // Harmonic m as one of the bins 0 .. psi/2, and whether it is there as its conjugate.
    BOXWOOD_INLINE int bin(int m, bool& conjugate) const {
        int b = m % a.psi;
        conjugate = b > a.psi / 2;
        return conjugate ? a.psi - b : b;
    }
};

// z[t] = sum over rings of conj(reference) * image, for `tile` neighbouring offsets and one class vector.
static BOXWOOD_INLINE void correlate(const vfloat* reference, const float* image, int rings, vfloat* zr,
                                     vfloat* zi) {
    vfloat re[tile] = {}, im[tile] = {};
    for (int r = 0; r < rings; ++r) {
        const vfloat ar = reference[2 * r], ai = reference[2 * r + 1];
        const float* y = image + (size_t)r * 2 * lanes;
#pragma GCC unroll 4
        for (int t = 0; t < tile; ++t) {
            const vfloat yr = splat(y[t]), yi = splat(y[lanes + t]);
            re[t] += ar * yr;
            im[t] += ar * yi;
            re[t] += ai * yi;
            im[t] -= ai * yr;
        }
    }
    for (int t = 0; t < tile; ++t) {
        zr[t] = re[t];
        zi[t] = im[t];
    }
}

// n[r] = sum over the listed offsets of weight * image, for `tile` rings and one class vector.
// weight: [offset][re, im]; image[offset]: pointer to the coefficient of the first ring.
template <int rings_in_tile>
static BOXWOOD_INLINE void accumulate(const vfloat* weight, float sign, const float* const* image,
                                      size_t coefficient, int offsets, vfloat* nr, vfloat* ni) {
    vfloat re[rings_in_tile] = {}, im[rings_in_tile] = {};
    for (int t = 0; t < offsets; ++t) {
        const vfloat wr = weight[2 * t], wi = weight[2 * t + 1] * sign;
        const float* y = image[t] + coefficient * 2 * lanes;
#pragma GCC unroll 4
        for (int r = 0; r < rings_in_tile; ++r) {
            const vfloat yr = splat(y[r * 2 * lanes]), yi = splat(y[r * 2 * lanes + lanes]);
            re[r] += wr * yr;
            im[r] += wr * yi;
            re[r] -= wi * yi;
            im[r] += wi * yr;
        }
    }
    for (int r = 0; r < rings_in_tile; ++r) {
        nr[r] = re[r];
        ni[r] = im[r];
    }
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
