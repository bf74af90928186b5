// cuBLAS and cuFFT with checked calls, released with their scope.
#pragma once
#include <cublas_v2.h>
#include <cufft.h>

#include <map>
#include <mutex>

#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

// Where libraries lack memory, some of their calls say no more than that they failed. This is taken for the
// reason where the device answers and has less left than they may need.
inline bool seems_to_lack_memory() {
    constexpr size_t enough = (size_t)64 << 20;
    size_t free = 0, total = 0;
    const cudaError_t status = cudaMemGetInfo(&free, &total);
    cudaGetLastError();
    return status == cudaSuccess && free < enough;
}

inline void check(cublasStatus_t status, const char* what) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    const std::string text = std::string("cuBLAS failed in ") + what + ": " + cublasGetStatusString(status);
    const bool vague = status == CUBLAS_STATUS_EXECUTION_FAILED || status == CUBLAS_STATUS_INTERNAL_ERROR;
    if (status == CUBLAS_STATUS_ALLOC_FAILED || (vague && seems_to_lack_memory())) throw OutOfMemory(text);
    throw CudaError(text);
}

inline void check(cufftResult status, const char* what) {
    if (status == CUFFT_SUCCESS) return;
    const std::string text =
        std::string("cuFFT failed in ") + what + ": status " + std::to_string((int)status);
    const bool vague = status == CUFFT_INTERNAL_ERROR;
    if (status == CUFFT_ALLOC_FAILED || (vague && seems_to_lack_memory())) throw OutOfMemory(text);
    throw CudaError(text);
}

// A handle for the current device. Making one is slow, so idle ones are kept.
class Blas {
public:
    explicit Blas(const Stream& stream) {
        check(cudaGetDevice(&device_), "asking for the device");
        handle_ = idle().take(device_);
        if (!handle_) make();
        check(cublasSetStream(handle_, stream), "choosing a stream");
    }
    ~Blas() {
        cublasSetStream(handle_, nullptr);  // whose own stream may go before it is used again
        idle().give_back(device_, handle_);
    }
    Blas(const Blas&) = delete;
    Blas& operator=(const Blas&) = delete;
    operator cublasHandle_t() const { return handle_; }

private:
    // cuBLAS says that it is not initialized where it lacks memory, too; a lost device does not answer.
    void make() {
        const cublasStatus_t status = cublasCreate(&handle_);
        if (status == CUBLAS_STATUS_NOT_INITIALIZED) {
            free_memory();
            throw OutOfMemory("cuBLAS failed in starting: " + std::string(cublasGetStatusString(status)));
        }
        check(status, "starting");
    }
    struct Idle {
        std::mutex lock;
        std::multimap<int, cublasHandle_t> handles;  // by device
        cublasHandle_t take(int device) {
            const std::lock_guard<std::mutex> hold(lock);
            const auto found = handles.find(device);
            if (found == handles.end()) return nullptr;
            cublasHandle_t handle = found->second;
            handles.erase(found);
            return handle;
        }
        void give_back(int device, cublasHandle_t handle) {
            const std::lock_guard<std::mutex> hold(lock);
            handles.insert({device, handle});
        }
    };
    static Idle& idle() {
        static Idle handles;
        return handles;
    }
    int device_ = 0;
    cublasHandle_t handle_ = nullptr;
};

// A batch of transforms of one to three dimensions that follow each other densely.
class FftPlan {
public:
    FftPlan(const std::vector<int>& n, cufftType type, int batch, const Stream& stream) {
        std::vector<int> lengths(n);
        size_t bytes = 0;
        check(cufftCreate(&plan_), "creating a plan");
        try {
            check(cufftSetAutoAllocation(plan_, 0), "planning");
            check(cufftMakePlanMany(plan_, (int)n.size(), lengths.data(), nullptr, 1, 0, nullptr, 1, 0, type,
                                    batch, &bytes),
                  "planning");
            work_ = DeviceArray<char>(bytes);
            if (bytes) check(cufftSetWorkArea(plan_, work_.data()), "planning");
            check(cufftSetStream(plan_, stream), "choosing a stream");
        } catch (...) {
            cufftDestroy(plan_);
            throw;
        }
    }
    ~FftPlan() { cufftDestroy(plan_); }
    FftPlan(const FftPlan&) = delete;
    FftPlan& operator=(const FftPlan&) = delete;
    operator cufftHandle() const { return plan_; }

private:
    cufftHandle plan_ = 0;
    DeviceArray<char> work_;
};

// A transform, in the stream of its plan, as a stage.
template <class Execute>
void transform(const char* what, const Stream& stream, const Execute& execute) {
    const Stage stage(what, stream);
    check(execute(), what);
}

}  // namespace cuda
}  // namespace boxwood
