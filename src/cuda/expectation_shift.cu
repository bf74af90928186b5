// From images to the harmonics of shifted images.
#include "cuda/block.h"
#include "cuda/expectation.h"
#include "math/rounding.h"

namespace boxwood {
namespace cuda {
namespace {

constexpr int weigh_block = 64;

// Block (ring, image): weight * CTF * image on its samples, and harmonics 0, 2, 4 of weight * CTF^2.
__global__ void weigh_kernel(Shared s, const Image* images, const int* group, const float2* scale,
                             float2* weighted, float2* ctf_power) {
    __shared__ float room[weigh_block / 32];
    const int r = blockIdx.x, image = blockIdx.y;
    const int first = s.sample_start[r], n = s.ring_samples[r] / 2;
    const float2* roots = s.ring_roots + 2 * first;
    const Image in = images[image];
    const float w = s.weights[(size_t)group[image] * s.rings + r];
    const float wx = w * scale[image].x * scale[image].y, wc = w * scale[image].y * scale[image].y;
    float sums[5] = {};
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        const float2 x = in.transform[first + j];
        const float c = in.ctf[first + j], p = 2 * wc * c * c;
        weighted[(size_t)image * s.samples + first + j] = make_float2(wx * c * x.x, wx * c * x.y);
        const float2 two = roots[2 * j], four = roots[4 * j % (2 * n)];
        sums[0] += p;
        sums[1] += p * two.x;
        sums[2] += p * two.y;
        sums[3] += p * four.x;
        sums[4] += p * four.y;
    }
    for (int i = 0; i < 5; ++i) sums[i] = block_reduce<Sum>(sums[i], room);
    if (threadIdx.x == 0) {
        float2* out = ctf_power + ((size_t)image * s.rings + r) * 3;
        out[0] = make_float2(sums[0], 0);
        out[1] = make_float2(sums[1], sums[2]);
        out[2] = make_float2(sums[3], sums[4]);
    }
}

// Thread (image, class): harmonics 0, 2, 4 in psi of the norm of the reference under the image's CTF.
__global__ void norms_kernel(Shared s, int rings, int images, const float2* ctf_power, float2* norm) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (size_t)images * s.k) return;
    const float2* g = ctf_power + i / s.k * s.rings * 3;
    const float2* b = s.power + i % s.k * s.rings * 3;
    float2 q[3] = {};
    for (int r = 0; r < rings; ++r)
        for (int j = 0; j < 3; ++j) q[j] = q[j] + times(conjugate(b[3 * r + j]), g[3 * r + j]);
    for (int j = 0; j < 3; ++j) norm[3 * i + j] = q[j];
}

// Block (tile of columns, ring): the harmonics of this ring of shifted images, as in cpu/likelihood.h: even
// ones come from the real parts of half a circle, odd ones from the imaginary parts.
__global__ void shift_kernel(Shared s, Pass pass, Columns columns, const float2* weighted,
                             Precision precision, float2* shifted) {
    BOXWOOD_DYNAMIC_SHARED(float2, memory);
    const int r = blockIdx.y, n = s.ring_samples[r], q = n / 4, first = s.sample_start[r], lanes = blockDim.x;
    const int column = blockIdx.x * lanes + threadIdx.x;
    const bool valid = column < columns.count;
    float2 *even = memory, *odd = memory + q * lanes, *work = memory + 2 * q * lanes;
    const float2* roots = s.ring_roots + 2 * first;
    const int c = valid ? column : columns.count - 1;
    const int image = columns.image ? columns.image[c] : c / pass.offsets;
    const int offset = columns.offset ? columns.offset[c] : c % pass.offsets;
    const float2* x = weighted + (size_t)image * s.samples + first;
    const float2* phase = pass.phases + (size_t)first * pass.offsets + offset;
    float* reals = (float*)even;
    for (int j = threadIdx.y; j < q; j += blockDim.y) {
        const float2 a = times(x[j], phase[(size_t)j * pass.offsets]);
        const float2 b = times(x[j + q], phase[(size_t)(j + q) * pass.offsets]);
        // Real parts j and j + 1 are one complex number.
        reals[((j / 2) * lanes + threadIdx.x) * 2 + j % 2] = a.x;
        reals[(((j + q) / 2) * lanes + threadIdx.x) * 2 + (j + q) % 2] = b.x;
        odd[j * lanes + threadIdx.x] = times(make_float2(a.y, -b.y), roots[j]);
    }
    __syncthreads();
    const float2* g = block_fft(even, work, q, roots, 4);
    // The third part of the memory that is free now.
    const float2* u = block_fft(odd, g == even ? work : even, q, roots, 4);
    if (!valid) return;
    for (int m = threadIdx.y; m <= s.ring_harmonics[r]; m += blockDim.y) {
        float2 y;
        if (m % 2 == 0) {
            const int i = m / 2 % q, mirror = (q - i) % q;
            const float2 a = g[i * lanes + threadIdx.x], b = conjugate(g[mirror * lanes + threadIdx.x]);
            const float2 d = times(a - b, roots[m]);
            y = a + b + make_float2(d.y, -d.x);
        } else if (m % 4 == 1) {
            y = u[m / 4 * lanes + threadIdx.x];
            y = y + y;
        } else {
            y = conjugate(u[(n - m - 1) / 4 * lanes + threadIdx.x]);
            y = y + y;
        }
        shifted[(size_t)(pass.start[m] + r - s.first_ring[m]) * columns.count + column] =
            make_float2(rounded(y.x, precision), rounded(y.y, precision));
    }
}

}  // namespace

void weigh(const Shared& s, int images, const Image* list, const int* group, const float2* scale,
           float2* weighted, float2* ctf_power, const Stream& stream) {
    launch("weigh", weigh_kernel, dim3(s.rings, images), dim3(weigh_block), 0, stream, s, list, group, scale,
           weighted, ctf_power);
}

void norms(const Shared& s, const Pass& pass, int images, const float2* ctf_power, float2* norm,
           const Stream& stream) {
    launch("norms", norms_kernel, dim3(blocks((size_t)images * s.k, threads_per_block)),
           dim3(threads_per_block), 0, stream, s, pass.rings, images, ctf_power, norm);
}

void shift_and_transform(const Shared& s, const Pass& pass, int longest_ring, const Columns& columns,
                         const float2* weighted, Precision precision, float2* shifted, const Stream& stream) {
    const size_t bytes = (size_t)longest_ring / 4 * 3 * sizeof(float2);
    const int lanes = lanes_for(bytes);
    const char* const what = columns.image ? "shift_and_transform, listed" : "shift_and_transform";
    launch(what, shift_kernel, dim3(blocks(columns.count, lanes), pass.rings),
           dim3(lanes, threads_per_block / lanes), bytes * lanes, stream, s, pass, columns, weighted,
           precision, shifted);
}

}  // namespace cuda
}  // namespace boxwood
