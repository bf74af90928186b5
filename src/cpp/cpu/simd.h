// Vectors of the instruction set this file is compiled for, on the compiler's own vector extensions.
// Everything is always inlined and lives in a namespace of the instruction set's name, so that no
// symbol compiled for a newer processor can be picked by the linker for an older one.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/parallel.h"

#define BOXWOOD_INLINE inline __attribute__((always_inline))

namespace boxwood {
namespace BOXWOOD_SIMD {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float vfloat __attribute__((vector_size(lanes * 4)));
typedef int32_t vint __attribute__((vector_size(lanes * 4)));
typedef float vfloat_unaligned __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
typedef double vdouble __attribute__((vector_size(lanes * 4)));

static BOXWOOD_INLINE vfloat load(const float* p) { return *(const vfloat_unaligned*)p; }
static BOXWOOD_INLINE void store(float* p, vfloat v) { *(vfloat_unaligned*)p = v; }
static BOXWOOD_INLINE vfloat splat(float x) { return x - vfloat{}; }
static BOXWOOD_INLINE vfloat vmax(vfloat a, vfloat b) { return a > b ? a : b; }
static BOXWOOD_INLINE vfloat vmin(vfloat a, vfloat b) { return a < b ? a : b; }
static BOXWOOD_INLINE vfloat vabs(vfloat a) { return a < 0.0f ? -a : a; }
static BOXWOOD_INLINE float horizontal_sum(vfloat v) {
    float s = 0;
    for (int i = 0; i < lanes; ++i) s += v[i];
    return s;
}
static BOXWOOD_INLINE float horizontal_max(vfloat v) {
    float s = v[0];
    for (int i = 1; i < lanes; ++i) s = v[i] > s ? v[i] : s;
    return s;
}

// exp(x) to 2 units in the last place for -87 < x < 88; 0 below, the largest value above.
// Cephes' reduction x = n ln2 + r and a degree-5 polynomial in r.
static BOXWOOD_INLINE vfloat vexp(vfloat x) {
    const vfloat clipped = vmin(vmax(x, splat(-87.0f)), splat(88.0f));
    const vfloat scaled = clipped * 1.44269504f;
    vint n = __builtin_convertvector(scaled + (scaled < 0.0f ? splat(-0.5f) : splat(0.5f)), vint);
    const vfloat nf = __builtin_convertvector(n, vfloat);
    const vfloat r = (clipped - nf * 0.693359375f) + nf * 2.12194440e-4f;
    vfloat p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const vint power = (n + 127) << 23;
    vfloat two_n;
    memcpy(&two_n, &power, sizeof(two_n));
    const vfloat e = p * two_n;
    return x < -87.0f ? splat(0.0f) : e;
}

// sin(pi x) to 2 units in the last place for |x| < 2^22, where x minus its nearest integer is exact.
// Adding 1.5 * 2^23 leaves that integer in the low bits, whose last one is the sign of the half turn;
// the polynomial is the minimax one of sin(pi r) / r in r^2 for |r| <= 1/2 (relative error 5e-9).
static BOXWOOD_INLINE vfloat vsin_pi(vfloat x) {
    const vfloat shifted = x + 12582912.0f;
    const vfloat r = x - (shifted - 12582912.0f);
    const vfloat r2 = r * r;
    vfloat p = splat(0.07756038755178452f);
    p = p * r2 - 0.5982421040534973f;
    p = p * r2 + 2.550069808959961f;
    p = p * r2 - 5.167709827423096f;
    p = p * r2 + 3.1415927410125732f;
    vint bits, turn;
    vfloat sine = p * r;
    memcpy(&bits, &sine, sizeof(bits));
    memcpy(&turn, &shifted, sizeof(turn));
    bits ^= turn << 31;
    memcpy(&sine, &bits, sizeof(sine));
    return sine;
}

// The lanes of the pair (a, b) that constants name: one instruction or a few.
#if defined(__clang__)
#define BOXWOOD_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BOXWOOD_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, vint{__VA_ARGS__})
#endif

// Transposes a square of lanes x lanes floats: log2(lanes) rounds of interleaving, as one shuffles cards.
#if defined(__AVX512F__)
#define BOXWOOD_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define BOXWOOD_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define BOXWOOD_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define BOXWOOD_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define BOXWOOD_LOW 0, 4, 1, 5
#define BOXWOOD_HIGH 2, 6, 3, 7
#endif
static BOXWOOD_INLINE void transpose(vfloat* rows) {
    for (int round = 1; round < lanes; round *= 2) {
        vfloat mixed[lanes];
        for (int i = 0; i < lanes / 2; ++i) {
            const vfloat a = rows[i], b = rows[i + lanes / 2];
            mixed[2 * i] = BOXWOOD_SHUFFLE(a, b, BOXWOOD_LOW);
            mixed[2 * i + 1] = BOXWOOD_SHUFFLE(a, b, BOXWOOD_HIGH);
        }
        for (int i = 0; i < lanes; ++i) rows[i] = mixed[i];
    }
}

// What the templates in math/ ask of a target.
struct VectorMath {
    typedef vfloat Real;
    static BOXWOOD_INLINE vfloat splat(float x) { return BOXWOOD_SIMD::splat(x); }
    static BOXWOOD_INLINE vfloat sin_pi(vfloat x) { return vsin_pi(x); }
    static BOXWOOD_INLINE vfloat exp(vfloat x) { return vexp(x); }
    static BOXWOOD_INLINE vfloat abs(vfloat x) { return vabs(x); }
};

// Scratch memory: aligned, not copied, released with the scope.
template <class T>
struct Buffer {
    T* data = nullptr;
    BOXWOOD_INLINE explicit Buffer(size_t n) {
        data = (T*)aligned_alloc(64, (n * sizeof(T) + 127) / 64 * 64);
        if (!data) out_of_memory();
    }
    BOXWOOD_INLINE ~Buffer() { free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    BOXWOOD_INLINE operator T*() const { return data; }
};

// run_tasks for a lambda (task, worker).
template <class Body>
static BOXWOOD_INLINE void parallel_for(int tasks, int threads, const Body& body) {
    struct Call {
        static void go(void* context, int task, int worker) { (*(const Body*)context)(task, worker); }
    };
    run_tasks(tasks, threads, &Call::go, (void*)&body);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
