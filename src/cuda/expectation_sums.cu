// Sums for the maximisation. The pairs of one image and class are summed first, in single precision; images
// are then added one after the other, in double precision, so that neither batches nor memory change a bit.
#include "cuda/block.h"
#include "cuda/expectation.h"

namespace boxwood {
namespace cuda {
namespace {

// Warp (coefficient, group): sum over its kept pairs of posterior harmonic times shifted image.
__global__ void group_kernel(Shared s, Pairs pairs, const int* kept, const float2* posterior,
                             const float2* shifted, float2* out) {
    const int group = blockIdx.x, c = blockIdx.y * blockDim.y + threadIdx.y;
    if (c >= s.coefficients) return;
    int b = s.harmonic[c] % s.psi;
    const bool folded = b > s.psi / 2;
    if (folded) b = s.psi - b;
    const float2* w = posterior + (size_t)b * pairs.count;
    const float2* y = shifted + (size_t)c * pairs.columns.count;
    float2 sum = make_float2(0, 0);
    for (int p = pairs.group_begin[group] + threadIdx.x; p < pairs.group_end[group]; p += 32)
        if (kept[p]) sum = sum + times(folded ? conjugate(w[p]) : w[p], y[pairs.column[p]]);
    sum = make_float2(warp_sum(sum.x), warp_sum(sum.y));
    if (threadIdx.x == 0) out[(size_t)group * s.coefficients + c] = sum;
}

// Thread (group, j): harmonic 2 j of the kept posterior.
__global__ void low_kernel(Pairs pairs, const int* kept, const float2* posterior, float2* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, group = i / 3, j = i % 3;
    if (group >= pairs.groups) return;
    float2 sum = make_float2(0, 0);
    for (int p = pairs.group_begin[group]; p < pairs.group_end[group]; ++p)
        if (kept[p]) sum = sum + posterior[(size_t)2 * j * pairs.count + p];
    out[i] = sum;
}

__device__ inline void add(double2& to, float2 x) {
    to.x += x.x;
    to.y += x.y;
}

// Thread (coefficient, class).
__global__ void numerator_kernel(Shared s, Pairs pairs, const float2* group_sums, double2* numerator) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
    if (c >= s.coefficients) return;
    double2 sum = numerator[(size_t)k * s.coefficients + c];
    for (int i = 0; i < pairs.images; ++i) {
        const int group = pairs.group_of[(size_t)i * s.k + k];
        if (group >= 0) add(sum, group_sums[(size_t)group * s.coefficients + c]);
    }
    numerator[(size_t)k * s.coefficients + c] = sum;
}

// Thread (ring and harmonic, class).
__global__ void denominator_kernel(Shared s, Pairs pairs, const float2* low, const float2* ctf_power,
                                   double2* denominator) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
    if (i >= 3 * s.rings) return;
    double2 sum = denominator[(size_t)k * s.rings * 3 + i];
    for (int image = 0; image < pairs.images; ++image) {
        const int group = pairs.group_of[(size_t)image * s.k + k];
        if (group >= 0) add(sum, times(low[3 * group + i % 3], ctf_power[(size_t)image * s.rings * 3 + i]));
    }
    denominator[(size_t)k * s.rings * 3 + i] = sum;
}

// Block per image, a warp per ring: posterior means of <reference, image> and of <|reference|^2 CTF^2>.
__global__ void rings_kernel(Shared s, Pairs pairs, const float2* group_sums, const float2* low,
                             const float2* ctf_power, float* cross, float* model) {
    const int image = blockIdx.x, begin = pairs.first_group[image], count = pairs.group_count[image];
    for (int r = threadIdx.y; r < s.rings; r += blockDim.y) {
        const float2* g = ctf_power + ((size_t)image * s.rings + r) * 3;
        float sum = 0, power = 0;
        for (int i = 0; i < count; ++i) {
            const float2* reference = s.references + (size_t)pairs.group_class[begin + i] * s.coefficients;
            const float2* v = group_sums + (size_t)(begin + i) * s.coefficients;
            for (int m = threadIdx.x; m <= s.ring_harmonics[r]; m += 32) {
                const int c = s.start[m] + r - s.first_ring[m];
                sum += (m ? 2.0f : 1.0f) * times(conjugate(reference[c]), v[c]).x;
            }
        }
        for (int i = threadIdx.x; i < count; i += 32) {
            const float2* b = s.power + ((size_t)pairs.group_class[begin + i] * s.rings + r) * 3;
            for (int j = 0; j < 3; ++j)
                power += (j ? 2.0f : 1.0f) * times(conjugate(b[j]), times(low[3 * (begin + i) + j], g[j])).x;
        }
        sum = warp_sum(sum);
        power = warp_sum(power);
        if (threadIdx.x != 0) continue;
        cross[(size_t)image * s.rings + r] = sum;
        model[(size_t)image * s.rings + r] = power;
    }
}

}  // namespace

void sum_up(const Shared& s, const Pass&, const Pairs& pairs, const Posterior& posterior,
            const float2* shifted, const float2* ctf_power, Sums& out, const Stream& stream) {
    const dim3 warps(32, threads_per_block / 32);
    if (pairs.groups) {
        posterior_harmonics(s, pairs, posterior, out, stream);
        launch("group_sums", group_kernel, dim3(pairs.groups, blocks(s.coefficients, warps.y)), warps, 0,
               stream, s, pairs, posterior.kept, out.posterior, shifted, out.group_sums);
        launch("low harmonics", low_kernel, dim3(blocks((size_t)3 * pairs.groups, threads_per_block)),
               dim3(threads_per_block), 0, stream, pairs, posterior.kept, out.posterior, out.group_low);
    }
    launch("numerator", numerator_kernel, dim3(blocks(s.coefficients, threads_per_block), s.k),
           dim3(threads_per_block), 0, stream, s, pairs, out.group_sums, out.numerator);
    launch("denominator", denominator_kernel, dim3(blocks((size_t)3 * s.rings, threads_per_block), s.k),
           dim3(threads_per_block), 0, stream, s, pairs, out.group_low, ctf_power, out.denominator);
    launch("rings", rings_kernel, dim3(pairs.images), warps, 0, stream, s, pairs, out.group_sums,
           out.group_low, ctf_power, out.cross, out.model);
}

}  // namespace cuda
}  // namespace boxwood
