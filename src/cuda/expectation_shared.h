// What all images of a call of the expectation share: made on the host, sent to the device.
#pragma once
#include "cuda/batch.h"
#include "cuda/expectation.h"

namespace boxwood {
namespace cuda {

// Places of the harmonics on the host, for all rings or the first few.
struct Order {
    int rings, top, coefficients = 0, samples = 0, longest = 0;
    std::vector<int> first_ring, start, harmonic;
    Order(const ExpectationArgs&, int ring_count);
};

// A device that reaches ordinary memory by itself reads it when its turn comes, so what is sent stays as long
// as this.
class SharedTables {
public:
    SharedTables(const ExpectationArgs&, const Stream&);

    const Order order, first_order;  // of all rings, and of those of the first pass
    // A pass over images from one of the call's on; the first pass is the whole one where there is none of
    // its own.
    Pass whole(size_t image) const;
    Pass first(size_t image) const;
    const Shared& shared() const { return shared_; }
    const int* group(size_t image) const { return group_.data() + image; }
    const float2* scale(size_t image) const { return scale_.data() + image; }
    const int* parent() const { return parent_.data(); }

private:
    const ExpectationArgs& a;
    const std::vector<float2> host_psi_roots_, host_factors_, host_phases_, host_coarse_phases_;
    std::vector<float2> host_ring_roots_;
    std::vector<int> host_sample_start_{0};
    DeviceArray<int> ring_samples_, ring_harmonics_, sample_start_, first_ring_, start_, harmonic_,
        first_start_, parent_, group_;
    DeviceArray<float2> ring_roots_, psi_roots_, references_, factors_, power_, phases_, coarse_phases_,
        scale_;
    DeviceArray<float> weights_, log_prior_class_, log_prior_psi_, log_prior_offset_,
        coarse_log_prior_offset_;
    Shared shared_;
    const Finish sent_;  // last, so that what it waits for is still there
};

}  // namespace cuda
}  // namespace boxwood
