// What every CUDA kernel needs of the runtime: checked calls, memory, streams and events released with their
// scope, a launch that is plain C++ (so that a host compiler can compile the same file), and the maths.
#pragma once
#include <cuda_runtime.h>
#include <math.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/error.h"
#include "cuda/memory.h"
#include "cuda/stages.h"
#include "math/hostdevice.h"

namespace boxwood {
namespace cuda {

inline void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    const std::string text = std::string("CUDA failed in ") + what + ": " + cudaGetErrorString(status);
    cudaGetLastError();  // an error that a launch reports must not be met again
    if (status == cudaErrorMemoryAllocation) throw OutOfMemory(text);
    throw CudaError(text);
}

// Streams do not wait for the default stream, which nothing here uses.
class Stream {
public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream"); }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    operator cudaStream_t() const { return stream_; }
    void wait(const char* what) const { check(cudaStreamSynchronize(stream_), what); }

private:
    cudaStream_t stream_ = nullptr;
};

// A point in the work of a stream that others can wait for.
class Event {
public:
    explicit Event(unsigned flags = cudaEventDisableTiming) {
        check(cudaEventCreateWithFlags(&event_, flags), "creating an event");
    }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    operator cudaEvent_t() const { return event_; }
    void record(const Stream& stream) { check(cudaEventRecord(event_, stream), "recording an event"); }
    void hold(const Stream& stream) const {
        check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event");
    }
    void wait(const char* what) const { check(cudaEventSynchronize(event_), what); }

private:
    cudaEvent_t event_ = nullptr;
};

// n elements of device memory, from memory.h. What uses them has been waited for when they go.
template <class T>
class DeviceArray {
public:
    explicit DeviceArray(size_t n = 0) : size_(n) {
        if (n) data_ = (T*)take_device_memory(n * sizeof(T));
    }
    ~DeviceArray() { give_back(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    DeviceArray(DeviceArray&& other) noexcept { swap(other); }
    DeviceArray& operator=(DeviceArray&& other) noexcept {
        swap(other);
        return *this;
    }
    T* data() const { return data_; }
    size_t size() const { return size_; }
    void copy_from(const T* host, size_t n, const Stream& stream) {
        const Stage stage("to the device", stream);
        if (n)
            check(cudaMemcpyAsync(data_, host, n * sizeof(T), cudaMemcpyHostToDevice, stream),
                  "copying to the device");
    }
    void copy_to(T* host, size_t n, const Stream& stream) const {
        const Stage stage("from the device", stream);
        if (n)
            check(cudaMemcpyAsync(host, data_, n * sizeof(T), cudaMemcpyDeviceToHost, stream),
                  "copying from the device");
    }
    void copy_to(T* host, const Stream& stream) const { copy_to(host, size_, stream); }
    // n elements from the host, in place of what there was, for which the stream has no more use.
    void send(const T* host, size_t n, const Stream& stream) {
        reserve(n, stream);
        copy_from(host, n, stream);
    }
    // Room for at least n elements; if that needs more memory, what was there is lost, once the stream is
    // done with it.
    void reserve(size_t n, const Stream& stream) {
        if (n <= size_) return;
        if (data_) stream.wait("memory that is in use");
        *this = DeviceArray();
        *this = DeviceArray(n);
    }
    void clear(const Stream& stream) {
        if (size_) check(cudaMemsetAsync(data_, 0, size_ * sizeof(T), stream), "clearing device memory");
    }

private:
    T* data_ = nullptr;
    size_t size_ = 0;
    void swap(DeviceArray& other) {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }
};

// n elements of host memory that copies reach without the processor's help.
template <class T>
class PinnedArray {
public:
    explicit PinnedArray(size_t n) : size_(n) {
        if (n) data_ = (T*)take_pinned_memory(n * sizeof(T));
    }
    ~PinnedArray() { give_back(data_); }
    PinnedArray(const PinnedArray&) = delete;
    PinnedArray& operator=(const PinnedArray&) = delete;
    T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    size_t size_;
};

// Shared memory whose size the launch says, in a kernel: `BOXWOOD_DYNAMIC_SHARED(float, name);`, 16 bytes
// aligned.
#ifndef BOXWOOD_DYNAMIC_SHARED
#define BOXWOOD_DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char boxwood_dynamic_shared[]; \
    type* const name = reinterpret_cast<type*>(boxwood_dynamic_shared)
#endif

constexpr size_t most_shared_bytes = 96 * 1024;      // sm_86 and sm_89 have 99 KB for a block, others more
constexpr size_t ordinary_shared_bytes = 48 * 1024;  // more has to be asked for, which launch() does

// Lets a kernel have so much dynamic shared memory, or more, on the current device. What it may have already
// is not taken back: another thread may be about to launch it.
inline void allow_shared_bytes(const void* kernel, size_t bytes, const char* what) {
    static std::mutex lock;
    static std::map<std::pair<const void*, int>, size_t> allowed;
    int device = 0;
    check(cudaGetDevice(&device), what);
    const std::lock_guard<std::mutex> hold(lock);
    size_t& most = allowed[{kernel, device}];
    if (bytes <= most) return;
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes), what);
    most = bytes;
}

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            const Stream& stream, Arguments&&... arguments) {
    if (shared_bytes > ordinary_shared_bytes) allow_shared_bytes((const void*)kernel, shared_bytes, what);
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    const Stage stage(what, stream);
    check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), what);
}

// Blocks of a grid over n of something.
inline unsigned blocks(size_t n, size_t per_block) { return (unsigned)((n + per_block - 1) / per_block); }

inline void use_device(int device) { check(cudaSetDevice(device), "choosing the device"); }

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
