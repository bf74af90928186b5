#include <algorithm>

#include "cuda/expectation_memory.h"

namespace boxwood {
namespace cuda {
namespace {

// Rows of `width` numbers each, to where those of a call begin with row `first`.
template <class T>
void put(const PinnedArray<T>& from, int first, int n, int width, T* to) {
    std::copy_n(from.data(), (size_t)n * width, to + (size_t)first * width);
}

}  // namespace

Results::Results(const ExpectationArgs& a, size_t n)
    : counts(3 * n),
      begin(3 * n),
      best(3 * n),
      top_samples(3 * n * a.top),
      statistics(4 * n),
      of_class(n * a.k),
      of_offset(n * a.t),
      cross(n * a.rings),
      model(n * a.rings),
      top_weights(n * a.top) {}

void Results::give(const ExpectationArgs& a, int first, int n) const {
    put(best, first, n, 3, a.best);
    put(statistics, first, n, 4, a.statistics);
    put(of_class, first, n, a.k, a.class_posterior);
    put(of_offset, first, n, a.t, a.offset_posterior);
    put(cross, first, n, a.rings, a.cross);
    put(model, first, n, a.rings, a.model);
    put(top_samples, first, n, 3 * a.top, a.top_samples);
    put(top_weights, first, n, a.top, a.top_weights);
}

size_t Batch::bytes_per_image(const ExpectationArgs& a, const Pass& first, bool staged) {
    const size_t columns = first.offsets, pairs = columns * a.k;
    return (size_t)a.samples * ((staged ? 2 * 12 : 0) + 8) + 2 * sizeof(Image) + (size_t)a.rings * 24 +
           (size_t)a.k * 48 + columns * first.coefficients * 8 + pairs * ((first.top_harmonic + 1) * 8 + 8) +
           (size_t)a.k * 8 + (size_t)a.t * 4;
}

void Batch::reserve(const ExpectationArgs& a, const Pass& first, size_t n, const Stream& stream) {
    const size_t columns = n * first.offsets, pairs = columns * a.k;
    weighted.reserve(n * a.samples, stream);
    ctf_power.reserve(n * a.rings * 3, stream);
    norm.reserve(n * a.k * 3, stream);
    if (a.coarse_t) coarse_norm.reserve(n * a.k * 3, stream);
    shifted.reserve(columns * first.coefficients, stream);
    products.reserve(pairs * (first.top_harmonic + 1), stream);
    peak.reserve(pairs, stream);
    share.reserve(pairs, stream);
    least.reserve(n, stream);
    counts.reserve(3 * n, stream);
    pairs_before.reserve(n * a.k, stream);
    group_number.reserve(n * a.k, stream);
    column_number.reserve(n * a.t, stream);
}

Choice Batch::choice() const {
    return {share.data(),        least.data(),        counts.data(),
            pairs_before.data(), group_number.data(), column_number.data()};
}

void Extent::add(const int* counts) {
    columns += counts[0];
    groups += counts[1];
    pairs += (counts[2] + 1) / 2 * 2;
}

size_t Slice::bytes(const ExpectationArgs& a, const Extent& of) {
    return of.columns * ((size_t)a.coefficients * 8 + 8) +
           of.groups * ((size_t)a.coefficients * 8 + 24 + 16) +
           of.pairs * ((size_t)a.psi * 4 + (size_t)(a.psi / 2 + 1) * 8 + 20);
}

void Slice::reserve(const ExpectationArgs& a, size_t n, const Extent& of, const Stream& stream) {
    shifted.reserve(of.columns * a.coefficients, stream);
    posterior.reserve(of.pairs * (a.psi / 2 + 1), stream);
    group_sums.reserve(of.groups * a.coefficients, stream);
    group_low.reserve(of.groups * 3, stream);
    values.reserve(of.pairs * a.psi, stream);
    peak.reserve(of.pairs, stream);
    mass.reserve(of.pairs, stream);
    kept.reserve(of.pairs, stream);
    lists.reserve(2 * of.columns + 2 * of.pairs + 4 * of.groups + n * a.k + 4 * n, stream);
    begin.reserve(3 * n, stream);
    inverse.reserve(n, stream);
    statistics.reserve(4 * n, stream);
    of_class.reserve(n * a.k, stream);
    of_offset.reserve(n * a.t, stream);
    best.reserve(3 * n, stream);
    top_samples.reserve(3 * n * a.top, stream);
    top_weights.reserve(n * a.top, stream);
    cross.reserve(n * a.rings, stream);
    model.reserve(n * a.rings, stream);
}

Pairs Slice::pairs(int k, int n, const Extent& of) const {
    int* next = lists.data();
    const auto take = [&](size_t n) {
        int* const part = next;
        next += n;
        return part;
    };
    Pairs p{};
    p.count = of.pairs;
    p.groups = of.groups;
    p.images = n;
    p.columns = {(int)of.columns, take(of.columns), take(of.columns)};
    p.of_class = take(of.pairs);
    p.column = take(of.pairs);
    p.group_image = take(of.groups);
    p.group_class = take(of.groups);
    p.group_begin = take(of.groups);
    p.group_end = take(of.groups);
    p.group_of = take((size_t)n * k);
    p.image_begin = take(n);
    p.image_end = take(n);
    p.first_group = take(n);
    p.group_count = take(n);
    return p;
}

Posterior Slice::found(int top) const {
    return {values.data(),    peak.data(), mass.data(),        kept.data(),
            inverse.data(),   best.data(), statistics.data(),  of_class.data(),
            of_offset.data(), top,         top_samples.data(), top_weights.data()};
}

void Slice::send(const ExpectationArgs& a, size_t from, size_t n, const Results& r,
                 const Stream& stream) const {
    const auto rows = [&](const auto& there, const auto& here, size_t width) {
        there.copy_to(here.data() + from * width, n * width, stream);
    };
    rows(best, r.best, 3);
    rows(statistics, r.statistics, 4);
    rows(of_class, r.of_class, a.k);
    rows(of_offset, r.of_offset, a.t);
    rows(cross, r.cross, a.rings);
    rows(model, r.model, a.rings);
    rows(top_samples, r.top_samples, 3 * a.top);
    rows(top_weights, r.top_weights, a.top);
}

}  // namespace cuda
}  // namespace boxwood
