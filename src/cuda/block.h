// What the threads of a block do together: sums, maxima, prefix sums, and Fourier transforms in shared
// memory. Every thread of the block calls these, and the order of additions is fixed.
#pragma once
#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

__device__ inline float2 operator+(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ inline float2 operator-(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }
__device__ inline float2 times(float2 a, float2 b) {
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
__device__ inline float2 conjugate(float2 a) { return make_float2(a.x, -a.y); }

constexpr unsigned whole_warp = 0xffffffffu;

// The sum, in lane 0.
template <class T>
__device__ inline T warp_sum(T x) {
    for (int step = 16; step; step /= 2) x += __shfl_down_sync(whole_warp, x, step);
    return x;
}

struct Largest {
    template <class T>
    static __device__ inline T of(T a, T b) {
        return a > b ? a : b;
    }
};
struct Smallest {
    template <class T>
    static __device__ inline T of(T a, T b) {
        return a < b ? a : b;
    }
};
struct Sum {
    template <class T>
    static __device__ inline T of(T a, T b) {
        return a + b;
    }
};

// All values of a block of whole warps along x in one; room: one T per warp of shared memory.
template <class Two, class T>
__device__ inline T block_reduce(T x, T* room) {
    for (int step = 16; step; step /= 2) {
        const T other = __shfl_down_sync(whole_warp, x, step);
        x = Two::of(x, other);
    }
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
    __syncthreads();
    T all = room[0];
    for (unsigned i = 1; i < blockDim.x / 32; ++i) all = Two::of(all, room[i]);
    __syncthreads();
    return all;
}

// The sum of x over the threads before this one, and over all in `total`; room: one int per warp.
__device__ inline int block_sum_before(int x, int* room, int& total) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int sum = x;
    for (int step = 1; step < 32; step *= 2) {
        const int before = __shfl_up_sync(whole_warp, sum, step);
        if (lane >= step) sum += before;
    }
    if (lane == 31) room[warp] = sum;
    __syncthreads();
    int first = 0;
    total = 0;
    for (int i = 0; i < (int)blockDim.x / 32; ++i) {
        if (i < warp) first += room[i];
        total += room[i];
    }
    __syncthreads();
    return first + sum - x;
}

template <int p>
struct Butterfly;

template <>
struct Butterfly<2> {
    static __device__ inline void run(float2* x) {
        const float2 a = x[0], b = x[1];
        x[0] = a + b;
        x[1] = a - b;
    }
};

template <>
struct Butterfly<3> {
    static __device__ inline void run(float2* x) {
        const float s = 0.866025403784438647f;
        const float2 a = x[1] + x[2], b = x[1] - x[2];
        const float2 c = make_float2(x[0].x - 0.5f * a.x, x[0].y - 0.5f * a.y);
        x[0] = x[0] + a;
        x[1] = make_float2(c.x + s * b.y, c.y - s * b.x);
        x[2] = make_float2(c.x - s * b.y, c.y + s * b.x);
    }
};

template <>
struct Butterfly<4> {
    static __device__ inline void run(float2* x) {
        const float2 a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
        x[0] = a + c;
        x[1] = make_float2(b.x + d.y, b.y - d.x);
        x[2] = a - c;
        x[3] = make_float2(b.x - d.y, b.y + d.x);
    }
};

template <>
struct Butterfly<5> {
    static __device__ inline void run(float2* x) {
        const float c1 = 0.309016994374947424f, c2 = -0.809016994374947424f, s1 = 0.951056516295153572f,
                    s2 = 0.587785252292473129f;
        const float2 a = x[1] + x[4], b = x[2] + x[3], c = x[1] - x[4], d = x[2] - x[3];
        const float2 e = make_float2(x[0].x + c1 * a.x + c2 * b.x, x[0].y + c1 * a.y + c2 * b.y);
        const float2 f = make_float2(x[0].x + c2 * a.x + c1 * b.x, x[0].y + c2 * a.y + c1 * b.y);
        const float2 g = make_float2(s1 * c.x + s2 * d.x, s1 * c.y + s2 * d.y);
        const float2 h = make_float2(s2 * c.x - s1 * d.x, s2 * c.y - s1 * d.y);
        x[0] = x[0] + a + b;
        x[1] = make_float2(e.x + g.y, e.y - g.x);
        x[4] = make_float2(e.x - g.y, e.y + g.x);
        x[2] = make_float2(f.x + h.y, f.y - h.x);
        x[3] = make_float2(f.x - h.y, f.y + h.x);
    }
};

// One stage of Stockham's transform of columns [n][blockDim.x]; `done` is the product of the stages before.
template <int p>
__device__ inline void fft_stage(const float2* in, float2* out, int n, int done, const float2* roots,
                                 int step) {
    const int lanes = blockDim.x, m = n / (p * done);
    for (int t = threadIdx.y; t < n / p; t += blockDim.y) {
        const int q = t % done, i = t / done;
        float2 x[p];
#pragma unroll
        for (int k = 0; k < p; ++k) x[k] = in[(q + done * (i + m * k)) * lanes + threadIdx.x];
        Butterfly<p>::run(x);
        out[(q + done * p * i) * lanes + threadIdx.x] = x[0];
#pragma unroll
        for (int k = 1; k < p; ++k)
            out[(q + done * (p * i + k)) * lanes + threadIdx.x] = times(x[k], roots[i * k * done * step]);
    }
    __syncthreads();
}

// Columns [n][blockDim.x] of `data` to sum_j x_j exp(-2 pi i jk/n), n = 2^a 3^b 5^c. The block has lanes
// along x and shares the work along y. roots[j step] = exp(-2 pi i j/n). Returns where the result is: data or
// work.
__device__ inline float2* block_fft(float2* data, float2* work, int n, const float2* roots, int step) {
    for (int done = 1; done < n;) {
        const int rest = n / done;
        if (rest % 5 == 0) {
            fft_stage<5>(data, work, n, done, roots, step);
            done *= 5;
        } else if (rest % 4 == 0) {
            fft_stage<4>(data, work, n, done, roots, step);
            done *= 4;
        } else if (rest % 3 == 0) {
            fft_stage<3>(data, work, n, done, roots, step);
            done *= 3;
        } else {
            fft_stage<2>(data, work, n, done, roots, step);
            done *= 2;
        }
        float2* const result = work;
        work = data;
        data = result;
    }
    return data;
}

}  // namespace cuda
}  // namespace boxwood
