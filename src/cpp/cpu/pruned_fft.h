// The low frequencies of long transforms, many at once (lanes as in fft.h).
//
// With n = P Q and the point P q + p, X(k) = sum_p exp(-2 pi i p k / n) Y_p(k mod Q), Y_p the transform
// of length Q of every P-th point from p on. Only the wanted k are summed, which saves the last passes,
// keeps the inner transforms in the first-level cache, and bounds the price of lengths with a large
// prime factor: Q is the divisor with the fewest operations.
#pragma once
#include "cpu/fft.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// Vector operations per point of a transform of length n, memory included: counted in fft.h.
static inline double fft_cost(int n) {
    double cost = 0;
    for (; n % 4 == 0; n /= 4) cost += 11;
    for (int p = 2; n > 1; ++p)
        for (; n % p == 0; n /= p) cost += p == 2 ? 8 : p == 3 ? 11 : p == 5 ? 14 : p + 8;
    return cost;
}

// The divisor Q of n for which a transform of n points with `kept` wanted frequencies is cheapest.
static inline int inner_length(int n, int kept) {
    int best = n;
    double least = 1e300;
    for (int q = 1; q <= n; ++q) {
        if (n % q) continue;
        const double cost = fft_cost(q) + 8.0 * kept / q;
        if (cost < least) {
            least = cost;
            best = q;
        }
    }
    return best;
}

// X(k) = sum_j x(j) exp(-2 pi i j k / n) for first <= k < first + kept.
class PrunedFft {
public:
    int n, first, kept;

    PrunedFft(int length, int first_frequency, int frequencies)
        : n(length),
          first(first_frequency),
          kept(frequencies),
          inner_(inner_length(length, frequencies)),
          outer_(length / inner_.n),
          roots_((size_t)2 * length) {
        for (int k = 0; k < n; ++k) {
            roots_[2 * k] = (float)cos(2.0 * M_PI * k / n);
            roots_[2 * k + 1] = (float)sin(2.0 * M_PI * k / n);
        }
    }

    // Vectors of scratch memory that run() needs.
    size_t scratch() const { return 2 * ((size_t)outer_ * row() + inner_.n); }

    // in: [n][re, im] vectors; out: [kept][re, im] vectors.
    void run(const vfloat* in, vfloat* out, vfloat* scratch) const {
        vfloat* work = scratch + 2 * (size_t)outer_ * row();
        for (int p = 0; p < outer_; ++p) {
            vfloat* y = scratch + 2 * (size_t)p * row();
            for (int q = 0; q < inner_.n; ++q) {
                y[2 * q] = in[2 * ((size_t)q * outer_ + p)];
                y[2 * q + 1] = in[2 * ((size_t)q * outer_ + p) + 1];
            }
            inner_.template run<-1>(y, work);
        }
        // Frequencies that are congruent modulo Q use the same values, so they are summed together.
        const int q = inner_.n, last = first + kept;
        for (int k = first; k < first + q && k < last; ++k) {
            const vfloat* y = scratch + 2 * (modulo(k) % q);
            int next = k;
            for (; next + 3 * q < last; next += 4 * q) sum<4>(next, y, out);
            for (; next < last; next += q) sum<1>(next, y, out);
        }
    }

private:
    // One more than needed, so that a power of two does not map every Y_p to the same cache set.
    size_t row() const { return inner_.n + 1; }
    int modulo(int k) const { return ((k % n) + n) % n; }

    // X(k), X(k + Q), ... of values y, y + row, ...
    template <int count>
    BOXWOOD_INLINE void sum(int k, const vfloat* y, vfloat* out) const {
        vfloat re[count] = {}, im[count] = {};
        int root[count] = {}, turn[count];
        for (int i = 0; i < count; ++i) turn[i] = modulo(k + i * inner_.n);
        for (int p = 0; p < outer_; ++p, y += 2 * row()) {
            const vfloat a = y[0], b = y[1];
            for (int i = 0; i < count; ++i) {
                const float c = roots_[2 * root[i]], s = roots_[2 * root[i] + 1];
                re[i] += a * c + b * s;
                im[i] += b * c - a * s;
                root[i] += turn[i];
                if (root[i] >= n) root[i] -= n;
            }
        }
        for (int i = 0; i < count; ++i) {
            vfloat* target = out + 2 * (size_t)(k + i * inner_.n - first);
            target[0] = re[i];
            target[1] = im[i];
        }
    }

    Fft<float, vfloat> inner_;
    int outer_;
    Buffer<float> roots_;
};

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
