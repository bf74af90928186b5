// What the device can do at most: copies and matrix products of a size that fills it.
#include <algorithm>
#include <random>

#include "cuda/batch.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"

namespace boxwood {
namespace cuda {
namespace {

// The best of some turns, in seconds, after one that is not counted.
template <class Work>
double best_time(const Stream& stream, const Work& work) {
    double best = INFINITY;
    Event begin(cudaEventDefault), end(cudaEventDefault);
    for (int turn = 0; turn < 4; ++turn) {
        begin.record(stream);
        work();
        end.record(stream);
        end.wait("a ceiling");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, begin, end), "timing");
        if (turn) best = std::min(best, 1e-3 * milliseconds);
    }
    return best;
}

// Zeros would take a device less power, and so let it run faster.
std::vector<float> noise(size_t n) {
    std::minstd_rand numbers;
    std::vector<float> out(n);
    for (float& x : out) x = numbers() * (2.0f / std::minstd_rand::max()) - 1;
    return out;
}

double product_speed(const Stream& stream, int n, cublasComputeType_t compute) {
    const Blas blas(stream);
    const std::vector<float> factors = noise((size_t)n * n);
    DeviceArray<float> a(factors.size()), b(factors.size()), c(factors.size());
    const Finish finish(stream);
    a.copy_from(factors.data(), factors.size(), stream);
    b.copy_from(factors.data(), factors.size(), stream);
    const float one = 1, zero = 0;
    const double seconds = best_time(stream, [&] {
        check(cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, a.data(), CUDA_R_32F,
                                         n, 0, b.data(), CUDA_R_32F, n, 0, &zero, c.data(), CUDA_R_32F, n, 0,
                                         1, compute, CUBLAS_GEMM_DEFAULT),
              "a product");
    });
    return 2.0 * n * n * n / seconds;
}

}  // namespace

Ceilings ceilings(int device, size_t bytes, int n) {
    use_device(device);
    const Stream stream;
    const PinnedArray<char> host(bytes);
    DeviceArray<char> from(bytes), to(bytes);
    const Finish finish(stream);
    from.clear(stream);
    const auto copy = [&](void* a, const void* b, cudaMemcpyKind kind) {
        return bytes /
               best_time(stream, [&] { check(cudaMemcpyAsync(a, b, bytes, kind, stream), "copying"); });
    };
    Ceilings c{};
    c.memory = 2 * copy(to.data(), from.data(), cudaMemcpyDeviceToDevice);  // read and written
    c.from_device = copy(host.data(), from.data(), cudaMemcpyDeviceToHost);
    c.to_device = copy(to.data(), host.data(), cudaMemcpyHostToDevice);
    c.float32 = product_speed(stream, n, CUBLAS_COMPUTE_32F);
    c.tf32 = product_speed(stream, n, CUBLAS_COMPUTE_32F_FAST_TF32);
    return c;
}

}  // namespace cuda
}  // namespace boxwood
