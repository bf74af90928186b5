// Which (class, offset) pairs of an image matter, and lists of them.
#include "cuda/expectation.h"
#include "cuda/threshold.h"

namespace boxwood {
namespace cuda {
namespace {

// Block per image: shares of the posterior of the first pass, and the share that counts. Without
// `by_fraction` all pairs count whose largest value is not `cut` below the image's. None does where no value
// is a number.
__global__ void choose_kernel(Shared s, int offsets, bool by_fraction, const float* peak, Choice out) {
    __shared__ float room[threads_per_block / 32];
    __shared__ double double_room[threads_per_block / 32];
    const int n = s.k * offsets;
    const float* top = peak + (size_t)blockIdx.x * n;
    float* share = out.share + (size_t)blockIdx.x * n;
    float best = 2 * impossible;
    for (int i = threadIdx.x; i < n; i += blockDim.x) best = fmaxf(best, top[i]);
    best = block_reduce<Largest>(best, room);
    // The best value of a hard assignment is looked for once more, with other roundings.
    const float cut = s.hard && !by_fraction ? 0.01f * fabsf(best) : s.cut;
    double total = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const bool counts = top[i] >= best - cut && top[i] > impossible;
        if (by_fraction)
            share[i] = counts ? share[i] * expf(top[i] - best) : 0;
        else
            share[i] = counts ? 1 : 0;
        total += share[i];
    }
    total = block_reduce<Sum>(total, double_room);
    const float inverse = (float)(1 / total);
    if (by_fraction)
        for (int i = threadIdx.x; i < n; i += blockDim.x) share[i] *= inverse;
    const float least = by_fraction ? share_threshold(share, n, s.fraction, double_room) : 0.5f;
    if (threadIdx.x == 0) out.least[blockIdx.x] = least;
}

// Whether a class is searched at an offset.
struct Chosen {
    const float *share, least;
    const int* parent;
    int coarse_offsets;
    __device__ inline Chosen(const Choice& c, int image, int k, int coarse, const int* parents)
        : share(c.share + (size_t)image * k * coarse),
          least(c.least[image]),
          parent(parents),
          coarse_offsets(coarse) {}
    __device__ inline bool operator()(int k, int offset) const {
        return share[(size_t)k * coarse_offsets + (parent ? parent[offset] : offset)] >= least;
    }
};

// Block per image: where in the image's lists its classes and columns begin, and how long the lists are.
__global__ void count_kernel(Shared s, int coarse_offsets, int offsets, const int* parent, Choice out) {
    __shared__ int room[threads_per_block / 32];
    const int image = blockIdx.x;
    const Chosen chosen(out, image, s.k, coarse_offsets, parent);
    int columns = 0, groups = 0, pairs = 0, all;
    for (int first = 0; first < s.k; first += blockDim.x) {
        const int k = first + threadIdx.x;
        int mine = 0;
        if (k < s.k)
            for (int t = 0; t < offsets; ++t) mine += chosen(k, t);
        const int pairs_before = pairs + block_sum_before(mine, room, all);
        pairs += all;
        const int groups_before = groups + block_sum_before(mine > 0, room, all);
        groups += all;
        if (k < s.k) {
            out.pairs_before[(size_t)image * s.k + k] = pairs_before;
            out.group_number[(size_t)image * s.k + k] = mine > 0 ? groups_before : -1;
        }
    }
    for (int first = 0; first < offsets; first += blockDim.x) {
        const int t = first + threadIdx.x;
        bool used = false;
        if (t < offsets)
            for (int k = 0; k < s.k && !used; ++k) used = chosen(k, t);
        const int before = columns + block_sum_before(used, room, all);
        columns += all;
        if (t < offsets) out.column_number[(size_t)image * offsets + t] = used ? before : -1;
    }
    if (threadIdx.x == 0) {
        out.counts[3 * image] = columns;
        out.counts[3 * image + 1] = groups;
        out.counts[3 * image + 2] = pairs;
    }
}

// Block per image: fills the lists from where the image's part of them begins: [images][columns, groups,
// pairs].
__global__ void list_kernel(Shared s, int coarse_offsets, int offsets, const int* parent, Choice choice,
                            const int* begin, Pairs out) {
    const int image = blockIdx.x;
    const Chosen chosen(choice, image, s.k, coarse_offsets, parent);
    const int first_column = begin[3 * image], first_group = begin[3 * image + 1],
              first_pair = begin[3 * image + 2];
    for (int t = threadIdx.x; t < offsets; t += blockDim.x) {
        const int c = choice.column_number[(size_t)image * offsets + t];
        if (c < 0) continue;
        out.columns.image[first_column + c] = image;
        out.columns.offset[first_column + c] = t;
    }
    for (int k = threadIdx.x; k < s.k; k += blockDim.x) {
        const int number = choice.group_number[(size_t)image * s.k + k];
        const int group = number < 0 ? -1 : first_group + number;
        out.group_of[(size_t)image * s.k + k] = group;
        if (group < 0) continue;
        int p = first_pair + choice.pairs_before[(size_t)image * s.k + k];
        out.group_image[group] = image;
        out.group_class[group] = k;
        out.group_begin[group] = p;
        for (int t = 0; t < offsets; ++t) {
            if (!chosen(k, t)) continue;
            out.of_class[p] = k;
            out.column[p++] = first_column + choice.column_number[(size_t)image * offsets + t];
        }
        out.group_end[group] = p;
    }
    if (threadIdx.x == 0) {
        const int end = first_pair + choice.counts[3 * image + 2];
        out.image_begin[image] = first_pair;
        out.image_end[image] = end;
        if (end % 2) {  // a pair that counts nowhere, beside the last
            out.of_class[end] = 0;
            out.column[end] = first_column;
        }
        out.first_group[image] = first_group;
        out.group_count[image] = choice.counts[3 * image + 1];
    }
}

}  // namespace

void choose(const Shared& s, int images, int offsets, bool by_fraction, const float* peak, Choice& out,
            const Stream& stream) {
    launch("choose", choose_kernel, dim3(images), dim3(threads_per_block), 0, stream, s, offsets, by_fraction,
           peak, out);
}

void count(const Shared& s, int images, int coarse_offsets, int offsets, const int* parent, Choice& out,
           const Stream& stream) {
    launch("count", count_kernel, dim3(images), dim3(threads_per_block), 0, stream, s, coarse_offsets,
           offsets, parent, out);
}

void list(const Shared& s, int images, int coarse_offsets, int offsets, const int* parent,
          const Choice& choice, const int* begin, const Pairs& out, const Stream& stream) {
    launch("list", list_kernel, dim3(images), dim3(threads_per_block), 0, stream, s, coarse_offsets, offsets,
           parent, choice, begin, out);
}

}  // namespace cuda
}  // namespace boxwood
