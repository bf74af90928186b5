// Speed of the product as the expectation runs it, beside the most that the multiply-adds allow.
#include "cpu/product.h"

#include <time.h>

#include "cpu/likelihood.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

// Wall time: of what is short, the least of many turns is free of what else the machine does.
double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Independent multiply-adds: more than the latency times the number of units, few enough for 16 registers.
constexpr int chains = 12, rounds = 5000;

// Seconds of rounds * chains multiply-adds of one instruction each; `sum` keeps them from being removed.
template <class Term>
__attribute__((noinline)) double time_terms(const Term& term, vfloat& sum) {
    vfloat z[chains];
    for (int j = 0; j < chains; ++j) z[j] = splat((float)j) + 0.0f * sum;
    const double start = now();
    for (int i = 0; i < rounds; ++i)
#pragma GCC unroll 12
        for (int j = 0; j < chains; ++j) z[j] = term(z[j]);
    const double seconds = now() - start;
    sum = vfloat{};
    for (int j = 0; j < chains; ++j) sum += z[j];
    return seconds;
}

double time_peak(bool bf16, vfloat& sum) {
    const vfloat half = splat(0.5f);
    const vint pair = bfloat16_pair(half, half);
    return bf16 ? 0.5 * time_terms([=](vfloat z) { return dot_pairs(pair, pair, z); }, sum)
                : time_terms([=](vfloat z) { return z * half + half; }, sum);
}

}  // namespace

void product_speed(const ProductArgs& p) {
    ExpectationArgs a{};
    a.k = p.k;
    a.rings = p.rings;
    a.coefficients = p.coefficients;
    a.psi = p.psi;
    a.ring_harmonics = p.ring_harmonics;
    a.references = p.references;
    a.precision = p.bf16 ? precision_bf16 : precision_float32;
    Buffer<int> ring_samples(p.rings), classes(p.k);
    Buffer<float> zeros((size_t)6 * p.k * p.rings);
    memset(zeros, 0, sizeof(float) * 6 * p.k * p.rings);
    for (int r = 0; r < p.rings; ++r) ring_samples[r] = 4;
    for (int k = 0; k < p.k; ++k) classes[k] = k;
    a.ring_samples = ring_samples;
    a.samples = 2 * p.rings;
    a.power = a.log_prior_class = zeros;
    const ExpectationTables tables(a);
    Likelihood likelihood(tables);
    memset(likelihood.ctf_power, 0, sizeof(float) * 6 * p.rings);
    likelihood.norms(p.rings);
    likelihood.clear_spectra(tables.fine);
    Buffer<vfloat> images((size_t)2 * p.coefficients * p.vectors);
    for (size_t i = 0; i < (size_t)2 * p.coefficients * p.vectors; ++i) images[i] = splat(0.25f);
    const ClassTiles tiles(p.k);
    Buffer<double> seconds(p.vectors);
    for (int v = 0; v < p.vectors; ++v) seconds[v] = 1e30;
    double peak = 1e30, product = 0;
    vfloat sum = vfloat{};
    for (int i = 0; i < p.repeats; ++i) {
        for (int v = 0; v < p.vectors; ++v) {
            const vfloat* image = images + (size_t)2 * p.coefficients * v;
            const double start = now();
            if (p.bf16) likelihood.round_image(tables.fine, image);
            for (int t = 0; t < tiles.tiles; ++t)
                likelihood.products(tables.fine, classes + tiles.first(t), tiles.size(t), vfloat{}, image);
            seconds[v] = fmin(seconds[v], now() - start);
        }
        peak = fmin(peak, time_peak(p.bf16, sum));
    }
    for (int v = 0; v < p.vectors; ++v) product += seconds[v];
    *p.product = 8e-9 * p.vectors * lanes * p.k * p.coefficients / product;
    *p.peak = 2e-9 * rounds * chains * lanes / peak + 0 * sum[0];
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
