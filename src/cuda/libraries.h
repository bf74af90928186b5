// cuBLAS and cuFFT with checked calls, released with their scope.
#pragma once
#include <cublas_v2.h>
#include <cufft.h>

#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

inline void check(cublasStatus_t status, const char* what) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    const std::string text = std::string("cuBLAS failed in ") + what + ": " + cublasGetStatusString(status);
    if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(text);
    throw CudaError(text);
}

inline void check(cufftResult status, const char* what) {
    if (status == CUFFT_SUCCESS) return;
    const std::string text = std::string("cuFFT failed in ") + what + ": status " + std::to_string((int)status);
    if (status == CUFFT_ALLOC_FAILED) throw OutOfMemory(text);
    throw CudaError(text);
}

class Blas {
public:
    explicit Blas(const Stream& stream) {
        check(cublasCreate(&handle_), "starting");
        check(cublasSetStream(handle_, stream), "choosing a stream");
    }
    ~Blas() { cublasDestroy(handle_); }
    Blas(const Blas&) = delete;
    Blas& operator=(const Blas&) = delete;
    operator cublasHandle_t() const { return handle_; }

private:
    cublasHandle_t handle_ = nullptr;
};

// A batch of transforms of one to three dimensions that follow each other densely.
class FftPlan {
public:
    FftPlan(const std::vector<int>& n, cufftType type, int batch, const Stream& stream) {
        std::vector<int> lengths(n);
        size_t bytes = 0;
        check(cufftCreate(&plan_), "creating a plan");
        check(cufftMakePlanMany(plan_, (int)n.size(), lengths.data(), nullptr, 1, 0, nullptr, 1, 0, type, batch, &bytes),
              "planning");
        check(cufftSetStream(plan_, stream), "choosing a stream");
    }
    ~FftPlan() { cufftDestroy(plan_); }
    FftPlan(const FftPlan&) = delete;
    FftPlan& operator=(const FftPlan&) = delete;
    operator cufftHandle() const { return plan_; }

private:
    cufftHandle plan_ = 0;
};

}  // namespace cuda
}  // namespace boxwood
