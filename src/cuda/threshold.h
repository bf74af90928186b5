// The share above which masses hold a given fraction of their sum.
#pragma once
#include "cuda/block.h"

namespace boxwood {
namespace cuda {

constexpr int share_buckets = 0x400;  // of floats below 2: exponent and first three bits

__device__ inline int share_bucket(float share) {
    const int b = __float_as_int(share) >> 20;
    return b < share_buckets ? b : share_buckets - 1;
}

// To an eighth of an octave: the lower edge of the highest bucket from which on shares sum to `fraction`;
// found by halving, so that every sum is taken in the same order. At least 1e-30. room: one double per warp.
__device__ inline float share_threshold(const float* share, int n, float fraction, double* room) {
    int low = 0, high = share_buckets;  // the sum from `low` on is enough, from `high` on it is not
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        double sum = 0;
        for (int i = threadIdx.x; i < n; i += blockDim.x)
            if (share_bucket(share[i]) >= middle) sum += share[i];
        sum = block_reduce<Sum>(sum, room);
        if (sum >= fraction)
            low = middle;
        else
            high = middle;
    }
    return fmaxf(__int_as_float(low << 20), 1e-30f);
}

}  // namespace cuda
}  // namespace boxwood
