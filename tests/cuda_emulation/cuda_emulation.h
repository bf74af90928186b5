// Lets a host compiler build and run the sources in src/cuda: included before them, it gives CUDA's words
// a meaning in plain C++ on top of NVIDIA's own headers. What it executes, and what it cannot show, is
// described in docs/cuda.md.
//
// Threads of a block are fibers of one processor thread, run in an order drawn from a seed; they meet
// where kernels say so (__syncthreads, operations of a warp) and nowhere else.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __shared__ thread_local
#define __constant__ error_constant_memory_is_not_emulated
#include <cuda_runtime.h>
#undef __launch_bounds__
#define __launch_bounds__(...)

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuda_emulation {

enum WarpOperation { warp_synchronise, warp_shuffle, warp_ballot };

// Puts the launch into its stream.
cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread);
bool is_device_address(const void*);
void* dynamic_shared_memory();
void barrier(int line);
// Waits for the lanes of the mask at the same operation. Shuffle: the value of lane `source` (this lane's own
// if it is not within the warp's segment); ballot: the lanes whose value is not zero.
uint64_t meet(WarpOperation operation, unsigned mask, uint64_t value, int source, int line);
int lane();

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
    return enqueue(*config, (const void*)kernel, [=] { std::apply(kernel, parameters); });
}

template <class T>
T shuffle(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a warp exchanges at most 8 bytes at once");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = meet(warp_shuffle, mask, bits, source, line);
    memcpy(&value, &bits, sizeof(T));
    return value;
}

// The lane that a shuffle within segments of `width` lanes reads from.
inline int within(int source, int width) {
    const int first = lane() / width * width;
    return source < first || source >= first + width ? lane() : source;
}

template <class T, class Change>
T change(T* place, const Change& by) {
    const T old = *place;
    *place = by(old);
    return old;
}

inline float sine_of_half_turns(float x) {
    return (float)sin(3.14159265358979323846 * remainder((double)x, 2.0));
}

}  // namespace cuda_emulation

#define cudaLaunchKernelEx cuda_emulation::launch_kernel
#define BOXWOOD_DYNAMIC_SHARED(type, name) type* const name = (type*)cuda_emulation::dynamic_shared_memory()

#define __syncthreads() cuda_emulation::barrier(__LINE__)
#define __syncwarp(...)                                                                                \
    cuda_emulation::meet(cuda_emulation::warp_synchronise, cuda_emulation::mask_of(__VA_ARGS__), 0, 0, \
                         __LINE__)
#define __shfl_sync(mask, value, ...) \
    cuda_emulation::shuffle(mask, value, cuda_emulation::any_lane(__VA_ARGS__), __LINE__)
#define __shfl_down_sync(mask, value, ...) \
    cuda_emulation::shuffle(mask, value, cuda_emulation::lane_below(__VA_ARGS__), __LINE__)
#define __shfl_up_sync(mask, value, ...) \
    cuda_emulation::shuffle(mask, value, cuda_emulation::lane_above(__VA_ARGS__), __LINE__)
#define __shfl_xor_sync(mask, value, ...) \
    cuda_emulation::shuffle(mask, value, cuda_emulation::lane_across(__VA_ARGS__), __LINE__)
#define __ballot_sync(mask, predicate) \
    ((unsigned)cuda_emulation::meet(cuda_emulation::warp_ballot, mask, (predicate) != 0, 0, __LINE__))

namespace cuda_emulation {

inline unsigned mask_of(unsigned mask = 0xffffffffu) { return mask; }
inline int any_lane(int source, int width = 32) {
    return lane() / width * width + (source % width + width) % width;
}
inline int lane_below(unsigned delta, int width = 32) { return within(lane() + (int)delta, width); }
inline int lane_above(unsigned delta, int width = 32) { return within(lane() - (int)delta, width); }
inline int lane_across(int bits, int width = 32) { return within(lane() ^ bits, width); }

}  // namespace cuda_emulation

// Fibers give way only where they meet, so every access is whole.
template <class T>
T atomicOr(T* place, std::common_type_t<T> value) {
    return cuda_emulation::change(place, [=](T old) { return old | value; });
}

inline int __float_as_int(float x) {
    int bits;
    memcpy(&bits, &x, sizeof(x));
    return bits;
}
inline float __int_as_float(int bits) {
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}
#define sinpif cuda_emulation::sine_of_half_turns
