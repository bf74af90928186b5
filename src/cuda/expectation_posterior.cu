// The posterior of each image over its listed pairs and angles.
#include "cuda/expectation.h"
#include "cuda/threshold.h"

namespace boxwood {
namespace cuda {
namespace {

// Replaces log-likelihoods by exp(value - best); one warp per pair. Returns this warp's share of the entropy.
__device__ inline double exponentiate(const Shared& s, const Posterior& out, int begin, int end, float best) {
    double entropy = 0;
    for (int p = begin + (int)threadIdx.x / 32; p < end; p += blockDim.x / 32) {
        float* value = out.values + (size_t)p * s.psi;
        const bool matters = out.peak[p] >= best - (s.hard ? 0 : s.cut);
        float sum = 0, weighted = 0;
        for (int i = threadIdx.x % 32; i < s.psi; i += 32) {
            const float x = value[i] - best, e = matters && !s.hard ? expf(x) : 0;
            value[i] = e;
            sum += e;
            weighted += e * fmaxf(x, -100);
        }
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0) out.mass[p] = sum;
        entropy += weighted;
    }
    return entropy;
}

// A sample and its value; the order is by decreasing value, then by increasing place.
struct Sample {
    float value;
    int place;
};

struct Before {
    static __device__ inline bool is(Sample a, Sample b) {
        return a.value > b.value || (a.value == b.value && a.place < b.place);
    }
};

__device__ inline Sample first_of_block(Sample mine, Sample* room) {
    for (int step = 16; step; step /= 2) {
        const Sample other = {__shfl_down_sync(whole_warp, mine.value, step),
                              __shfl_down_sync(whole_warp, mine.place, step)};
        if (Before::is(other, mine)) mine = other;
    }
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = mine;
    __syncthreads();
    for (unsigned i = 0; i < blockDim.x / 32; ++i)
        if (Before::is(room[i], mine) || i == 0) mine = room[i];
    __syncthreads();
    return mine;
}

// The sample of the image that is first of those after `last`; place: pair within the image * psi + angle.
__device__ inline Sample next_sample(const float* values, int n, Sample last, Sample* room) {
    Sample mine = {-INFINITY, 0x7fffffff};
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const Sample candidate = {values[i], i};
        if (Before::is(last, candidate) && Before::is(candidate, mine)) mine = candidate;
    }
    return first_of_block(mine, room);
}

__device__ inline void write_sample(const Shared& s, const Pairs& pairs, int begin, int place, int* out) {
    const int p = begin + place / s.psi;
    out[0] = pairs.of_class[p];
    out[1] = place % s.psi;
    out[2] = pairs.columns.offset[pairs.column[p]];
}

// Block per image. Where no value is a number nothing is found, as on the CPU: the posterior is none, and the
// image's groups are struck off, so that it adds nothing to the sums.
__global__ void normalise_kernel(Shared s, int offsets, Pairs pairs, Posterior out) {
    BOXWOOD_DYNAMIC_SHARED(float, of_offset);
    __shared__ float room[threads_per_block / 32];
    __shared__ double double_room[threads_per_block / 32];
    __shared__ Sample sample_room[threads_per_block / 32];
    const int image = blockIdx.x, begin = pairs.image_begin[image], end = pairs.image_end[image];
    const int n = (end - begin) * s.psi;
    float* values = out.values + (size_t)begin * s.psi;

    float best = impossible;
    for (int p = begin + threadIdx.x; p < end; p += blockDim.x) best = fmaxf(best, out.peak[p]);
    best = block_reduce<Largest>(best, room);
    const Sample none = {INFINITY, -1};
    const Sample winner = next_sample(values, n, none, sample_room);
    const bool found = winner.place < n;
    const double entropy = block_reduce<Sum>(exponentiate(s, out, begin, end, best), double_room);
    if (s.hard && found && threadIdx.x == 0) {
        values[winner.place] = 1;
        out.mass[begin + winner.place / s.psi] = 1;
    }
    __syncthreads();

    double total = 0;
    for (int p = begin + threadIdx.x; p < end; p += blockDim.x) total += out.mass[p];
    total = block_reduce<Sum>(total, double_room);
    const float inverse = (float)(1 / total), nothing = total > 0 ? 0 : NAN;
    for (int t = threadIdx.x; t < offsets; t += blockDim.x) of_offset[t] = nothing;
    for (int p = begin + threadIdx.x; p < end; p += blockDim.x) out.mass[p] *= inverse;
    __syncthreads();
    for (int k = threadIdx.x; k < s.k; k += blockDim.x) {
        const int group = pairs.group_of[(size_t)image * s.k + k];
        float sum = nothing;
        if (group >= 0)
            for (int p = pairs.group_begin[group]; p < pairs.group_end[group]; ++p) sum += out.mass[p];
        out.of_class[(size_t)image * s.k + k] = sum;
    }
    // Class after class, so that no two threads add to an offset at once, and always in this order.
    for (int i = 0; i < pairs.group_count[image]; ++i) {
        const int group = pairs.first_group[image] + i;
        for (int p = pairs.group_begin[group] + threadIdx.x; p < pairs.group_end[group]; p += blockDim.x)
            of_offset[pairs.columns.offset[pairs.column[p]]] += out.mass[p];
        __syncthreads();
    }
    for (int t = threadIdx.x; t < offsets; t += blockDim.x)
        out.of_offset[(size_t)image * offsets + t] = of_offset[t];

    const float least = share_threshold(out.mass + begin, end - begin, s.fraction, double_room);
    for (int p = begin + threadIdx.x; p < end; p += blockDim.x) out.kept[p] = out.mass[p] >= least;
    if (!(total > 0)) {
        for (int k = threadIdx.x; k < s.k; k += blockDim.x) pairs.group_of[(size_t)image * s.k + k] = -1;
        if (threadIdx.x == 0) pairs.group_count[image] = 0;
    }
    if (threadIdx.x == 0) {
        if (end % 2) out.kept[end] = 0;
        out.inverse[image] = inverse;
        float* statistics = out.statistics + 4 * image;
        statistics[0] = best + (float)log(total);
        statistics[1] = inverse;
        statistics[2] = (float)(log(total) - entropy / total);
        statistics[3] = best;
        int* const place = out.best + 3 * image;
        place[0] = place[1] = place[2] = 0;
        if (found) write_sample(s, pairs, begin, winner.place, place);
    }
    Sample last = none;
    for (int i = 0; i < out.top; ++i) {
        last = next_sample(values, n, last, sample_room);
        if (threadIdx.x != 0) continue;
        const size_t at = (size_t)image * out.top + i;
        const bool exists = last.value > 0;
        out.top_weights[at] = exists ? last.value * inverse : 0;
        int nothing[3] = {0, 0, 0};
        if (exists) write_sample(s, pairs, begin, last.place, nothing);
        for (int j = 0; j < 3; ++j) out.top_samples[3 * at + j] = nothing[j];
    }
}

}  // namespace

void normalise(const Shared& s, const Pass& pass, const Pairs& pairs, Posterior& out, const Stream& stream) {
    launch("normalise", normalise_kernel, dim3(pairs.images), dim3(threads_per_block),
           pass.offsets * sizeof(float), stream, s, pass.offsets, pairs, out);
}

}  // namespace cuda
}  // namespace boxwood
