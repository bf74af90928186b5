// Lets a host compiler build and run the sources in src/cuda: included before them, it gives CUDA's words
// a meaning in plain C++ on top of NVIDIA's own headers. The runtime is in emulation.cpp.
//
// Every thread of a grid runs to its end, one after the other, the last one first. What that cannot
// express (shared memory, barriers, warp operations) is left undefined, so that a kernel which needs it does
// not compile instead of running wrongly. Streams do their work at once. Caught are accesses outside the
// allocations, host pointers given to kernels, device pointers given to the host, unwritten memory (it
// holds NaN), and launches no device takes.
#pragma once
#include <math.h>

#define __global__
#define __device__
#define __host__
#define __shared__ error_shared_memory_is_not_emulated
#include <cuda_runtime.h>

#include <tuple>
#include <type_traits>
#include <utility>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace cuda_emulation {

// Runs thread(context) for every thread of the grid.
cudaError_t run(const cudaLaunchConfig_t& config, void (*thread)(void*), void* context);
bool is_device_address(const void*);

template <class T>
bool usable_on_device(const T& parameter) {
    if constexpr (std::is_pointer_v<T>) return parameter == nullptr || is_device_address(parameter);
    return true;
}

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                          Arguments&&... arguments) {
    std::tuple<Parameters...> parameters(std::forward<Arguments>(arguments)...);
    if (!std::apply([](const auto&... p) { return (usable_on_device(p) && ...); }, parameters))
        return cudaErrorIllegalAddress;
    auto call = [&] { std::apply(kernel, parameters); };
    return run(*config, [](void* c) { (*static_cast<decltype(call)*>(c))(); }, &call);
}

inline float sine_of_half_turns(float x) {
    return (float)sin(3.14159265358979323846 * remainder((double)x, 2.0));
}

}  // namespace cuda_emulation

#define cudaLaunchKernelEx cuda_emulation::launch_kernel
#define sinpif cuda_emulation::sine_of_half_turns
