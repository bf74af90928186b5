// From harmonics to log-likelihoods at all angles, and from the posterior over angles back to harmonics.
#include <complex>

#include "cuda/block.h"
#include "cuda/expectation.h"
#include "cuda/libraries.h"
#include "math/rounding.h"

namespace boxwood {
namespace cuda {
namespace {

// A class at an image and an offset; column: where its shifted image is.
struct Pair {
    bool valid;
    int k, image, offset, column;
};

// Two pairs go through one complex transform, as real and imaginary part, which lets roundings of one reach
// the other. They are of one image, and the same two whatever is computed beside them, so that results do not
// depend on that.

// All classes at all columns, by the matrix product; block (tile of couples, class).
struct Dense {
    const float2* products;  // [harmonics][k][columns]
    int classes, columns, offsets;
    __device__ inline void couple(int i, Pair& one, Pair& two) const {
        const int half = (offsets + 1) / 2, image = i / half, offset = 2 * (i % half), next = offset + 1;
        const bool valid = image < columns / offsets, both = valid && next < offsets;
        one = valid ? Pair{true, (int)blockIdx.y, image, offset, image * offsets + offset}
                    : Pair{false, (int)blockIdx.y, 0, 0, 0};
        two = both ? Pair{true, one.k, image, next, one.column + 1}
                   : Pair{false, one.k, one.image, one.offset, one.column};
    }
    __device__ inline float2 operator()(const Shared&, const Pair& p, int m) const {
        return products[((size_t)m * classes + p.k) * columns + p.column];
    }
};

// Listed pairs, whose products are made here.
struct Sparse {
    const float2* shifted;  // [coefficients][columns]
    Pairs pairs;
    __device__ inline Pair pair(int i) const {
        const int p = i < pairs.count ? i : 0, column = pairs.column[p];
        return {i < pairs.count, pairs.of_class[p], pairs.columns.image[column], pairs.columns.offset[column],
                column};
    }
    __device__ inline void couple(int i, Pair& one, Pair& two) const {
        one = pair(2 * i);
        two = pair(2 * i + 1);
    }
    __device__ inline float2 operator()(const Shared& s, const Pair& p, int m) const {
        const float2* a = s.factors + (size_t)p.k * s.coefficients;
        const float2* y = shifted + p.column;
        float2 sum = make_float2(0, 0);
        for (int c = s.start[m]; c < s.start[m + 1]; ++c) {
            const float2 x = y[(size_t)c * pairs.columns.count];
            sum = sum + times(a[c], make_float2(rounded(x.x, s.precision), rounded(x.y, s.precision)));
        }
        return sum;
    }
};

// What bin b of the spectrum of a pair holds: the harmonics that fold into it, with priors and half the norm.
template <class Source>
__device__ inline float2 bin(const Shared& s, const Pass& pass, const Source& source, const Pair& p,
                             const float2* norm, int b) {
    const bool real = b == 0 || 2 * b == s.psi;
    float2 z = make_float2(0, 0);
    for (int m = b; m <= pass.top_harmonic; m += s.psi) z = z + source(s, p, m);
    if (real) {
        // The harmonics m and -m meet here, but for m = 0.
        z.x = 2 * z.x - (b == 0 ? source(s, p, 0).x : 0.0f);
        z.y = 0;
    } else {
        for (int m = s.psi - b; m <= pass.top_harmonic; m += s.psi) z = z + conjugate(source(s, p, m));
    }
    if (s.hard) return z;
    const float2* q = norm + ((size_t)p.image * s.k + p.k) * 3;
    if (b == 0)
        z.x += pass.log_prior[(size_t)p.image * pass.offsets + p.offset] + s.log_prior_class[p.k] -
               0.5f * q[0].x;
    if (b == 2 || b == 4) z = z - make_float2(0.5f * q[b / 2].x, 0.5f * q[b / 2].y);
    return z;
}

// Columns [psi][lanes] of the values of two pairs, as real and imaginary part.
template <class Source>
__device__ inline float2* values_at_angles(const Shared& s, const Pass& pass, const Source& source,
                                           const Pair& one, const Pair& two, const float2* norm, float2* line,
                                           float2* work) {
    const int lanes = blockDim.x, lane = threadIdx.x;
    for (int b = threadIdx.y; b <= s.psi / 2; b += blockDim.y) {
        const float2 z1 = bin(s, pass, source, one, norm, b), z2 = bin(s, pass, source, two, norm, b);
        line[b * lanes + lane] = make_float2(z1.x - z2.y, z1.y + z2.x);
        if (b > 0 && 2 * b < s.psi) line[(s.psi - b) * lanes + lane] = make_float2(z1.x + z2.y, z2.x - z1.y);
    }
    __syncthreads();
    float2* values = block_fft(line, work, s.psi, s.psi_roots, 1);
    if (!s.hard && !s.log_prior_psi) return values;
    for (int i = threadIdx.y; i < s.psi; i += blockDim.y) {
        float2& v = values[i * lanes + lane];
        if (s.hard) {
            float inverse[2];
            for (int side = 0; side < 2; ++side) {
                const Pair& p = side ? two : one;
                const float2* q = norm + ((size_t)p.image * s.k + p.k) * 3;
                const float n = q[0].x + 2 * (times(q[1], s.psi_roots[2 * i % s.psi]).x +
                                              times(q[2], s.psi_roots[4 * i % s.psi]).x);
                inverse[side] = n > 1e-20f ? 1.0f / sqrtf(n) : 0.0f;
            }
            v = make_float2(v.x * inverse[0], v.y * inverse[1]);
        }
        if (s.log_prior_psi) v = v + make_float2(s.log_prior_psi[i], s.log_prior_psi[i]);
    }
    __syncthreads();
    return values;
}

// Over the threads of a lane, for both pairs of it. room: [blockDim.y][lanes] float2.
template <class Two>
__device__ inline float2 reduce_angles(float2 x, float2* room) {
    const int lanes = blockDim.x;
    room[threadIdx.y * lanes + threadIdx.x] = x;
    __syncthreads();
    float2 all = room[threadIdx.x];
    for (int i = 1; i < (int)blockDim.y; ++i) {
        const float2 other = room[i * lanes + threadIdx.x];
        all = make_float2(Two::of(all.x, other.x), Two::of(all.y, other.y));
    }
    __syncthreads();
    return all;
}

__device__ inline float2 largest_value(const float2* values, int psi, float2* room) {
    float2 top = make_float2(2 * impossible, 2 * impossible);
    for (int i = threadIdx.y; i < psi; i += blockDim.y) {
        const float2 v = values[i * blockDim.x + threadIdx.x];
        top = make_float2(fmaxf(top.x, v.x), fmaxf(top.y, v.y));
    }
    return reduce_angles<Largest>(top, room);
}

// Largest value and sum of exp(value - largest) of every class and column: [images][k][offsets].
__global__ void search_kernel(Shared s, Pass pass, Dense source, const float2* norm,
                              bool correlation_to_value, float* peak, float* mass) {
    BOXWOOD_DYNAMIC_SHARED(float2, memory);
    const int lanes = blockDim.x, lane = threadIdx.x, first = blockIdx.x * lanes;
    Pair one, two;
    source.couple(first + lane, one, two);
    const bool searched = s.hard || s.log_prior_class[blockIdx.y] > -1e3f;
    float2 top = make_float2(2 * impossible, 2 * impossible), sum = make_float2(0, 0);
    if (searched) {
        float2 *line = memory, *work = memory + s.psi * lanes, *room = memory + 2 * s.psi * lanes;
        float2* values = values_at_angles(s, pass, source, one, two, norm, line, work);
        if (correlation_to_value) {
            for (int i = threadIdx.y; i < s.psi; i += blockDim.y) {
                float2& v = values[i * lanes + lane];
                v = make_float2(0.5f * v.x * fmaxf(v.x, 0), 0.5f * v.y * fmaxf(v.y, 0));
            }
            __syncthreads();
        }
        top = largest_value(values, s.psi, room);
        for (int i = threadIdx.y; i < s.psi; i += blockDim.y) {
            const float2 v = values[i * lanes + lane];
            sum = sum + make_float2(expf(v.x - top.x), expf(v.y - top.y));
        }
        sum = reduce_angles<Sum>(sum, room);
    }
    if (threadIdx.y != 0) return;
    const size_t at_one = ((size_t)one.image * s.k + one.k) * pass.offsets + one.offset;
    const size_t at_two = ((size_t)two.image * s.k + two.k) * pass.offsets + two.offset;
    if (one.valid) {
        peak[at_one] = top.x;
        mass[at_one] = sum.x;
    }
    if (two.valid) {
        peak[at_two] = top.y;
        mass[at_two] = sum.y;
    }
}

// Values of listed pairs at all angles, and the largest.
__global__ void evaluate_kernel(Shared s, Pass pass, Sparse source, const float2* norm, float* out,
                                float* peak) {
    BOXWOOD_DYNAMIC_SHARED(float2, memory);
    const int lanes = blockDim.x, lane = threadIdx.x, first = blockIdx.x * lanes;
    Pair one, two;
    source.couple(first + lane, one, two);
    float2 *line = memory, *work = memory + s.psi * lanes, *room = memory + 2 * s.psi * lanes;
    const float2* values = values_at_angles(s, pass, source, one, two, norm, line, work);
    const float2 top = largest_value(values, s.psi, room);
    if (threadIdx.y == 0) {
        if (one.valid) peak[2 * (first + lane)] = top.x;
        if (two.valid) peak[2 * (first + lane) + 1] = top.y;
    }
    // Neighbouring threads write neighbouring angles of a pair.
    const int thread = threadIdx.y * lanes + lane, threads = lanes * blockDim.y;
    for (int i = thread; i < 2 * lanes * s.psi; i += threads) {
        const int pair = i / s.psi, angle = i % s.psi;
        if (2 * first + pair >= source.pairs.count) break;
        const float2 v = values[angle * lanes + pair / 2];
        out[(size_t)2 * first * s.psi + i] = pair % 2 ? v.y : v.x;
    }
}

// Harmonics of the posterior over angles, [psi/2 + 1][pairs], 0 for pairs that are not kept.
__global__ void harmonics_kernel(Shared s, Pairs pairs, const float* values, const int* kept,
                                 const float* inverse, float2* out) {
    BOXWOOD_DYNAMIC_SHARED(float2, memory);
    const int lanes = blockDim.x, lane = threadIdx.x, one = 2 * (blockIdx.x * lanes + lane);
    float2 *line = memory, *work = memory + s.psi * lanes;
    for (int side = 0; side < 2; ++side) {
        const int p = one + side;
        const bool used = p < pairs.count && kept[p];
        const float factor = used ? inverse[pairs.columns.image[pairs.column[p]]] : 0;
        for (int i = threadIdx.y; i < s.psi; i += blockDim.y) {
            const float v = used ? factor * values[(size_t)p * s.psi + i] : 0;
            (side ? line[i * lanes + lane].y : line[i * lanes + lane].x) = v;
        }
    }
    __syncthreads();
    const float2* f = block_fft(line, work, s.psi, s.psi_roots, 1);
    for (int b = threadIdx.y; b <= s.psi / 2; b += blockDim.y) {
        const float2 c = f[b * lanes + lane], d = conjugate(f[(s.psi - b) % s.psi * lanes + lane]);
        if (one >= pairs.count) continue;  // their number is even
        out[(size_t)b * pairs.count + one] = make_float2(0.5f * (c.x + d.x), 0.5f * (c.y + d.y));
        out[(size_t)b * pairs.count + one + 1] = make_float2(0.5f * (c.y - d.y), 0.5f * (d.x - c.x));
    }
}

struct Shape {
    int lanes;
    dim3 block;
    size_t bytes;
    explicit Shape(int psi)
        : lanes(lanes_for(2 * psi * sizeof(float2))),
          block(lanes, threads_per_block / lanes),
          bytes((2 * psi * lanes + threads_per_block) * sizeof(float2)) {}
};

}  // namespace

void multiply(cublasHandle_t blas, const Shared& s, const Pass& pass, const std::vector<int>& ring_harmonics,
              const std::vector<int>& pass_start, const std::vector<int>& start, int columns,
              const float2* shifted, float2* products) {
    const std::complex<float> one(1), zero(0);
    // What has been rounded to bfloat16 or TF32 is exact in TF32, whatever way the library would round it.
    const cublasComputeType_t compute =
        s.precision == precision_float32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    // The harmonics that begin on the same ring are matrices of the same size, one after the other.
    for (int m = 0, ring = 0; m <= pass.top_harmonic;) {
        while (ring_harmonics[ring] < m) ++ring;
        const int last = ring_harmonics[ring] < pass.top_harmonic ? ring_harmonics[ring] : pass.top_harmonic;
        const int rings = pass.rings - ring;
        check(cublasGemmStridedBatchedEx(
                  blas, CUBLAS_OP_N, CUBLAS_OP_N, columns, s.k, rings, &one,
                  shifted + (size_t)pass_start[m] * columns, CUDA_C_32F, columns, (long long)rings * columns,
                  s.factors + start[m], CUDA_C_32F, s.coefficients, s.rings - ring, &zero,
                  products + (size_t)m * s.k * columns, CUDA_C_32F, columns, (long long)s.k * columns,
                  last + 1 - m, compute, CUBLAS_GEMM_DEFAULT),
              "the product of references and images");
        m = last + 1;
    }
}

void search(const Shared& s, const Pass& pass, int columns, const float2* products, const float2* norm,
            bool correlation_to_value, float* peak, float* mass, const Stream& stream) {
    const Shape shape(s.psi);
    launch("search", search_kernel,
           dim3(blocks((size_t)columns / pass.offsets * ((pass.offsets + 1) / 2), shape.lanes), s.k),
           shape.block, shape.bytes, stream, s, pass, Dense{products, s.k, columns, pass.offsets}, norm,
           correlation_to_value, peak, mass);
}

void evaluate(const Shared& s, const Pass& pass, const Pairs& pairs, const float2* shifted,
              const float2* norm, Posterior& out, const Stream& stream) {
    const Shape shape(s.psi);
    launch("evaluate", evaluate_kernel, dim3(blocks(pairs.count, 2 * shape.lanes)), shape.block, shape.bytes,
           stream, s, pass, Sparse{shifted, pairs}, norm, out.values, out.peak);
}

void posterior_harmonics(const Shared& s, const Pairs& pairs, const Posterior& posterior, Sums& sums,
                         const Stream& stream) {
    const Shape shape(s.psi);
    launch("posterior_harmonics", harmonics_kernel, dim3(blocks(pairs.count, 2 * shape.lanes)), shape.block,
           shape.bytes, stream, s, pairs, posterior.values, posterior.kept, posterior.inverse,
           sums.posterior);
}

}  // namespace cuda
}  // namespace boxwood
