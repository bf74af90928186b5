// What every CUDA kernel needs of the runtime: checked calls, memory and streams released with their
// scope, a launch that is plain C++ (so that a host compiler can compile the same file), and the maths.
#pragma once
#include <cuda_runtime.h>
#include <math.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "math/hostdevice.h"

namespace boxwood {
namespace cuda {

struct CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess)
        throw CudaError(std::string("CUDA failed in ") + what + ": " + cudaGetErrorString(status));
}

class Stream {
public:
    Stream() { check(cudaStreamCreate(&stream_), "creating a stream"); }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    operator cudaStream_t() const { return stream_; }
    void wait(const char* what) const { check(cudaStreamSynchronize(stream_), what); }

private:
    cudaStream_t stream_ = nullptr;
};

// n elements of device memory.
template <class T>
class DeviceArray {
public:
    explicit DeviceArray(size_t n) : size_(n) {
        if (n) check(cudaMalloc((void**)&data_, n * sizeof(T)), "reserving device memory");
    }
    DeviceArray(const T* host, size_t n, const Stream& stream) : DeviceArray(n) {
        if (n)
            check(cudaMemcpyAsync(data_, host, n * sizeof(T), cudaMemcpyHostToDevice, stream),
                  "copying to the device");
    }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    T* data() const { return data_; }
    void copy_to(T* host, const Stream& stream) const {
        if (size_)
            check(cudaMemcpyAsync(host, data_, size_ * sizeof(T), cudaMemcpyDeviceToHost, stream),
                  "copying from the device");
    }

private:
    T* data_ = nullptr;
    size_t size_;
};

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            const Stream& stream, Arguments&&... arguments) {
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), what);
}

// What the templates in math/ ask of a target.
struct DeviceMath {
    using Real = float;
    static BOXWOOD_HD float splat(float x) { return x; }
    static BOXWOOD_HD float sin_pi(float x) { return sinpif(x); }
    static BOXWOOD_HD float exp(float x) { return expf(x); }
    static BOXWOOD_HD float abs(float x) { return fabsf(x); }
};

}  // namespace cuda
}  // namespace boxwood
