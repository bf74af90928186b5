// Shared pieces of the expectation: the order of coefficients, grids of offsets, and the transposed of the
// two small matrix products that all its time goes into. Everything is inlined into expectation.cpp.
#pragma once
#include "cpu/fft.h"
#include "cpu/kernels.h"
#include "cpu/product.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

typedef Fft<float, vfloat> LaneFft;

// Rings per register tile of the transposed product: their sums over the lanes fill one vector.
constexpr int ring_tile = lanes / 2;
// Log-prior of the lanes beyond the last offset.
constexpr float impossible = -1e30f;

// Offsets that are searched with all classes and angles, packed along the lanes.
struct OffsetGrid {
    const int count, vectors, rings, top;  // top: largest harmonic of these rings
    Buffer<vfloat> phases;                 // [vectors][samples of these rings][re, im]

    OffsetGrid(const float* in, int t, int ring_count, int samples, int largest_harmonic)
        : count(t),
          vectors((t + lanes - 1) / lanes),
          rings(ring_count),
          top(largest_harmonic),
          phases((size_t)vectors * samples * 2) {
        float* out = (float*)(vfloat*)phases;
        for (int t0 = 0; t0 < t; t0 += lanes)
            for (int j = 0; j < 2 * samples; ++j)
                for (int i = 0; i < lanes; ++i)
                    *out++ = t0 + i < t ? in[(size_t)(t0 + i) * 2 * samples + j] : 0.0f;
    }
};

// What all images of a batch share.
struct ExpectationTables {
    const ExpectationArgs& a;
    const int class_vectors, bins;
    Buffer<int> first_ring, start;  // [top + 2]: of harmonic m, its first ring and first coefficient
    Buffer<int> sample_start;       // [rings + 1]
    OffsetGrid fine, coarse;
    Buffer<int32_t> pairs;        // [k][coefficients][2]: references in bfloat16, if asked for
    Buffer<vfloat> power;         // [class_vectors][rings][3][re, im], classes along the lanes
    Buffer<vfloat> psi_roots;     // [psi][cos, sin] splat
    Buffer<float> ring_roots;     // cos, sin of every sample angle, [2 samples][2] per ring
    Buffer<LaneFft*> ring_plans;  // [rings], of length ring_samples / 4
    LaneFft psi_plan;
    Buffer<int> parents, parent_count;  // [fine.vectors][lanes], [fine.vectors]: distinct coarse offsets

    explicit ExpectationTables(const ExpectationArgs& args)
        : a(args),
          class_vectors((a.k + lanes - 1) / lanes),
          bins(a.psi / 2 + 1),
          first_ring(a.ring_harmonics[a.rings - 1] + 2),
          start(a.ring_harmonics[a.rings - 1] + 2),
          sample_start(a.rings + 1),
          fine(a.phases, a.t, a.rings, a.samples, a.ring_harmonics[a.rings - 1]),
          coarse(a.coarse_phases, a.coarse_t, a.coarse_rings, a.coarse_samples,
                 a.coarse_t ? a.ring_harmonics[a.coarse_rings - 1] : 0),
          pairs(a.precision == precision_bf16 ? (size_t)2 * a.k * a.coefficients : 0),
          power((size_t)class_vectors * a.rings * 6),
          psi_roots((size_t)2 * a.psi),
          ring_roots((size_t)4 * a.samples),
          ring_plans(a.rings),
          psi_plan(a.psi),
          parents((size_t)fine.vectors * lanes),
          parent_count(fine.vectors) {
        int c = 0;
        for (int m = 0, ring = 0; m <= fine.top; ++m) {
            while (a.ring_harmonics[ring] < m) ++ring;
            first_ring[m] = ring;
            start[m] = c;
            c += a.rings - ring;
        }
        start[fine.top + 1] = c;
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
        float* out = (float*)(vfloat*)power;
        for (int k0 = 0; k0 < a.k; k0 += lanes)
            for (int j = 0; j < 6 * a.rings; ++j)
                for (int i = 0; i < lanes; ++i)
                    *out++ = k0 + i < a.k ? a.power[(size_t)(k0 + i) * 6 * a.rings + j] : 0.0f;
        for (int i = 0; i < a.psi; ++i) {
            psi_roots[2 * i] = splat((float)cos(2 * M_PI * i / a.psi));
            psi_roots[2 * i + 1] = splat((float)sin(2 * M_PI * i / a.psi));
        }
        if (a.precision == precision_bf16) round_references();
        if (a.coarse_t)
            for (int v = 0; v < fine.vectors; ++v) find_parents(v);
    }
    ~ExpectationTables() {
        for (int r = 0; r < a.rings; ++r) delete ring_plans[r];
    }

    // Harmonic m as one of the bins 0 .. psi/2, and whether it is there as its conjugate.
    BOXWOOD_INLINE int bin(int m, bool& conjugate) const {
        int b = m % a.psi;
        conjugate = b > a.psi / 2;
        return conjugate ? a.psi - b : b;
    }

    BOXWOOD_INLINE void reference(int k, const float*& out) const {
        out = a.references + (size_t)k * a.coefficients * 2;
    }
    BOXWOOD_INLINE void reference(int k, const int32_t*& out) const {
        out = pairs + (size_t)k * a.coefficients * 2;
    }

private:
    void round_references() {
        for (size_t i = 0; i < (size_t)a.k * a.coefficients; ++i) {
            const float re = a.references[2 * i], im = a.references[2 * i + 1];
            pairs[2 * i] = bfloat16_pair(splat(re), splat(im))[0];
            pairs[2 * i + 1] = bfloat16_pair(splat(-im), splat(re))[0];
        }
    }

    void find_parents(int v) {
        int* list = parents + (size_t)v * lanes;
        int n = 0;
        for (int t = v * lanes; t < a.t && t < (v + 1) * lanes; ++t) {
            int i = 0;
            while (i < n && list[i] != a.parent[t]) ++i;
            if (i == n) list[n++] = a.parent[t];
        }
        parent_count[v] = n;
    }
};

// Half as many vectors, each the sum of two shuffles, LOW and HIGH, of a pair.
#define BOXWOOD_ADD_PAIRS(v, pairs, LOW, HIGH)                                                          \
    for (int i = 0; i < (pairs); ++i)                                                                   \
        v[i] = BOXWOOD_SHUFFLE(v[2 * i], v[2 * i + 1], LOW) + BOXWOOD_SHUFFLE(v[2 * i], v[2 * i + 1], HIGH)
#define BOXWOOD_ORDER(...) __VA_ARGS__

// Sums over the lanes of `lanes` vectors, as one vector, by rounds of adding halves of pairs.
static BOXWOOD_INLINE vfloat sum_lanes(vfloat* v) {
#if defined(__AVX512F__)
    BOXWOOD_ADD_PAIRS(v, 8, BOXWOOD_ORDER(0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29),
                      BOXWOOD_ORDER(2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
    BOXWOOD_ADD_PAIRS(v, 4, BOXWOOD_ORDER(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                      BOXWOOD_ORDER(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
    BOXWOOD_ADD_PAIRS(v, 2, BOXWOOD_ORDER(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                      BOXWOOD_ORDER(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31));
    BOXWOOD_ADD_PAIRS(v, 1, BOXWOOD_ORDER(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                      BOXWOOD_ORDER(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
#elif defined(__AVX2__)
    BOXWOOD_ADD_PAIRS(v, 4, BOXWOOD_ORDER(0, 8, 1, 9, 4, 12, 5, 13), BOXWOOD_ORDER(2, 10, 3, 11, 6, 14, 7, 15));
    BOXWOOD_ADD_PAIRS(v, 2, BOXWOOD_ORDER(0, 1, 8, 9, 4, 5, 12, 13), BOXWOOD_ORDER(2, 3, 10, 11, 6, 7, 14, 15));
    BOXWOOD_ADD_PAIRS(v, 1, BOXWOOD_ORDER(0, 1, 2, 3, 8, 9, 10, 11), BOXWOOD_ORDER(4, 5, 6, 7, 12, 13, 14, 15));
#else
    BOXWOOD_ADD_PAIRS(v, 2, BOXWOOD_ORDER(0, 4, 1, 5), BOXWOOD_ORDER(2, 6, 3, 7));
    BOXWOOD_ADD_PAIRS(v, 1, BOXWOOD_ORDER(0, 1, 4, 5), BOXWOOD_ORDER(2, 3, 6, 7));
#endif
    return v[0];
}

// Sums over offsets of weight * image for `rings` <= ring_tile rings of one harmonic: [ring][re, im].
// weight: [vector][re, im]; image[vector]: its coefficients; sign: -1 takes the conjugate of the weight.
template <int rings>
static BOXWOOD_INLINE vfloat accumulate(const vfloat* weight, float sign, const vfloat* const* image,
                                        size_t first, int vectors) {
    vfloat sums[lanes] = {};
    for (int v = 0; v < vectors; ++v) {
        const vfloat wr = weight[2 * v], wi = weight[2 * v + 1] * sign;
        const vfloat* y = image[v] + 2 * first;
#pragma GCC unroll 8
        for (int r = 0; r < rings; ++r) {
            sums[2 * r] += wr * y[2 * r];
            sums[2 * r + 1] += wr * y[2 * r + 1];
            sums[2 * r] -= wi * y[2 * r + 1];
            sums[2 * r + 1] += wi * y[2 * r];
        }
    }
    return sum_lanes(sums);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
