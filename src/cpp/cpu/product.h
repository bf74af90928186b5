// The matrix product of the expectation, Z(m) = sum over rings conj(A) Y, for a tile of classes and one
// vector of offsets, in either precision of its inputs; sums are in single precision.
#pragma once
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// Classes handled per register tile of the product: two accumulators each, enough to hide the latency of
// the multiply-add, and few enough to stay in registers.
constexpr int class_tile = lanes == 16 ? 8 : 6;

// Classes in tiles of about equal size: all but the last even, since angles are found for pairs of classes,
// and none much smaller than the rest, which would wait for its few sums.
struct ClassTiles {
    const int count, tiles;
    BOXWOOD_INLINE explicit ClassTiles(int classes)
        : count(classes), tiles((classes + class_tile - 1) / class_tile) {}
    BOXWOOD_INLINE int first(int tile) const {
        const int even = (count + 1) / 2 * tile / tiles * 2;
        return even < count ? even : count;
    }
    BOXWOOD_INLINE int size(int tile) const { return first(tile + 1) - first(tile); }
};

// Inputs in single precision: a coefficient is (re, im).
struct Single {
    typedef float Word;     // a reference has two per coefficient
    typedef vfloat Vector;  // an image has `vectors` per coefficient
    static constexpr int vectors = 2;
    static BOXWOOD_INLINE void add(const float* a, const vfloat* y, vfloat& re, vfloat& im) {
        const vfloat ar = splat(a[0]), ai = splat(a[1]);
        re += ar * y[0];
        im += ar * y[1];
        re += ai * y[1];
        im -= ai * y[0];
    }
};

// To bfloat16, the nearest or else the even one, in the low half of each lane; for finite numbers.
static BOXWOOD_INLINE vint to_bfloat16(vfloat x) {
    vint bits;
    memcpy(&bits, &x, sizeof(bits));
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) & 0xffff;
}
static BOXWOOD_INLINE vint bfloat16_pair(vfloat low, vfloat high) {
    return to_bfloat16(low) | (to_bfloat16(high) << 16);
}

// sum + high(a) high(b) + low(a) low(b), rounded after each term, as the processor's instruction does it.
static BOXWOOD_INLINE vfloat dot_pairs(vint a, vint b, vfloat sum) {
#if defined(__AVX512BF16__)
    return (vfloat)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    const vint a_high = a & -0x10000, b_high = b & -0x10000, a_low = a << 16, b_low = b << 16;
    sum += (vfloat)a_high * (vfloat)b_high;
    sum += (vfloat)a_low * (vfloat)b_low;
    return sum;
#endif
}

// Inputs in bfloat16: an image's coefficient is the pair (re, im) in each lane; a reference's is the pairs
// (re, im) and (-im, re).
struct Half {
    typedef int32_t Word;
    typedef vint Vector;
    static constexpr int vectors = 1;
    static BOXWOOD_INLINE void add(const int32_t* a, const vint* y, vfloat& re, vfloat& im) {
        re = dot_pairs(a[0] + vint{}, *y, re);
        im = dot_pairs(a[1] + vint{}, *y, im);
    }
};

// z[class] (re, im) = begin[class] + sum over rings of conj(reference) * image for one harmonic, from
// coefficient `first` on; plus the conjugate of the sum where `conjugate`.
template <class Precision, int classes>
static BOXWOOD_INLINE void correlate(const typename Precision::Word* const* references, size_t first,
                                     const typename Precision::Vector* image, int rings, bool conjugate,
                                     const vfloat* begin, vfloat* z) {
    // The sums start from `begin`, which costs less than adding to it, and are turned only if need be.
    vfloat re[classes], im[classes];
#pragma GCC unroll 16
    for (int c = 0; c < classes; ++c) {
        re[c] = begin[2 * c];
        im[c] = begin[2 * c + 1];
    }
    if (conjugate)
#pragma GCC unroll 16
        for (int c = 0; c < classes; ++c) im[c] = -im[c];
    for (size_t i = first; i < first + rings; ++i)
#pragma GCC unroll 16
        for (int c = 0; c < classes; ++c)
            Precision::add(references[c] + 2 * i, image + Precision::vectors * i, re[c], im[c]);
    if (conjugate)
#pragma GCC unroll 16
        for (int c = 0; c < classes; ++c) im[c] = -im[c];
#pragma GCC unroll 16
    for (int c = 0; c < classes; ++c) {
        z[2 * c] = re[c];
        z[2 * c + 1] = im[c];
    }
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
