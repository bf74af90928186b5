#include <algorithm>

#include "cuda/expectation_shared.h"
#include "math/rounding.h"

namespace boxwood {
namespace cuda {
namespace {

std::vector<float2> roots_of(int n) {
    std::vector<float2> roots(n);
    for (int j = 0; j < n; ++j)
        roots[j] = make_float2((float)cos(2 * M_PI * j / n), (float)-sin(2 * M_PI * j / n));
    return roots;
}

// [samples][offsets] from [offsets][samples]: neighbouring threads are neighbouring offsets.
std::vector<float2> transposed(const float* phases, int offsets, int samples) {
    std::vector<float2> out((size_t)offsets * samples);
    for (int t = 0; t < offsets; ++t)
        for (int j = 0; j < samples; ++j)
            out[(size_t)j * offsets + t] =
                make_float2(phases[2 * ((size_t)t * samples + j)], phases[2 * ((size_t)t * samples + j) + 1]);
    return out;
}

// Conjugates of the references, rounded as their products need it.
std::vector<float2> factors_of(const ExpectationArgs& a) {
    std::vector<float2> out((size_t)a.k * a.coefficients);
    for (size_t i = 0; i < out.size(); ++i) {
        const float re = a.references[2 * i], im = -a.references[2 * i + 1];
        out[i] = make_float2(rounded(re, a.precision), rounded(im, a.precision));
    }
    return out;
}

}  // namespace

Order::Order(const ExpectationArgs& a, int ring_count)
    : rings(ring_count), top(a.ring_harmonics[ring_count - 1]) {
    for (int m = 0, ring = 0; m <= top; ++m) {
        while (a.ring_harmonics[ring] < m) ++ring;
        first_ring.push_back(ring);
        start.push_back(coefficients);
        coefficients += rings - ring;
        harmonic.insert(harmonic.end(), rings - ring, m);
    }
    start.push_back(coefficients);
    for (int r = 0; r < rings; ++r) {
        samples += a.ring_samples[r] / 2;
        longest = std::max(longest, a.ring_samples[r]);
    }
}

SharedTables::SharedTables(const ExpectationArgs& args, const Stream& stream)
    : order(args, args.rings),
      first_order(args, args.coarse_t ? args.coarse_rings : args.rings),
      a(args),
      host_psi_roots_(roots_of(a.psi)),
      host_factors_(factors_of(a)),
      host_phases_(transposed(a.phases, a.t, a.samples)),
      host_coarse_phases_(transposed(a.coarse_phases, a.coarse_t, a.coarse_samples)),
      sent_(stream) {
    int groups = 0;
    for (int i = 0; i < a.n; ++i) groups = std::max(groups, a.group[i] + 1);
    for (int r = 0; r < a.rings; ++r) {
        host_sample_start_.push_back(host_sample_start_.back() + a.ring_samples[r] / 2);
        const std::vector<float2> of_ring = roots_of(a.ring_samples[r]);
        host_ring_roots_.insert(host_ring_roots_.end(), of_ring.begin(), of_ring.end());
    }
    const auto send = [&](auto& there, const auto& here) { there.send(here.data(), here.size(), stream); };
    ring_samples_.send(a.ring_samples, a.rings, stream);
    ring_harmonics_.send(a.ring_harmonics, a.rings, stream);
    send(sample_start_, host_sample_start_);
    send(first_ring_, order.first_ring);
    send(start_, order.start);
    send(harmonic_, order.harmonic);
    send(first_start_, first_order.start);
    send(ring_roots_, host_ring_roots_);
    send(psi_roots_, host_psi_roots_);
    references_.send((const float2*)a.references, (size_t)a.k * a.coefficients, stream);
    send(factors_, host_factors_);
    power_.send((const float2*)a.power, (size_t)a.k * a.rings * 3, stream);
    log_prior_class_.send(a.log_prior_class, a.k, stream);
    log_prior_psi_.send(a.log_prior_psi, a.log_prior_psi ? a.psi : 0, stream);
    log_prior_offset_.send(a.log_prior_offset, (size_t)a.n * a.t, stream);
    coarse_log_prior_offset_.send(a.coarse_log_prior_offset, (size_t)a.n * a.coarse_t, stream);
    send(phases_, host_phases_);
    send(coarse_phases_, host_coarse_phases_);
    parent_.send(a.parent, a.coarse_t ? a.t : 0, stream);
    group_.send(a.group, a.n, stream);
    scale_.send((const float2*)a.scale, a.n, stream);
    weights_.send(a.weights, (size_t)groups * a.rings, stream);
    shared_ = {a.k,
               a.psi,
               a.rings,
               a.samples,
               a.coefficients,
               order.top,
               a.hard != 0,
               a.precision,
               a.cut,
               a.fraction,
               ring_samples_.data(),
               ring_harmonics_.data(),
               sample_start_.data(),
               first_ring_.data(),
               start_.data(),
               harmonic_.data(),
               ring_roots_.data(),
               psi_roots_.data(),
               references_.data(),
               factors_.data(),
               power_.data(),
               weights_.data(),
               log_prior_class_.data(),
               log_prior_psi_.data()};
}

Pass SharedTables::whole(size_t image) const {
    return {a.t,       a.rings,       a.samples,      a.coefficients,
            order.top, start_.data(), phases_.data(), log_prior_offset_.data() + image * a.t};
}

Pass SharedTables::first(size_t image) const {
    if (!a.coarse_t) return whole(image);
    return {a.coarse_t,
            first_order.rings,
            a.coarse_samples,
            first_order.coefficients,
            first_order.top,
            first_start_.data(),
            coarse_phases_.data(),
            coarse_log_prior_offset_.data() + image * a.coarse_t};
}

}  // namespace cuda
}  // namespace boxwood
