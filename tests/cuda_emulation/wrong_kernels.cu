// Kernels and calls that a device would refuse or that would give rubbish; the emulation must notice each.
// Built only by the tests, called through ctypes; every function returns a cudaError_t or a float.
#include "cuda/runtime.h"
#include "cuda_emulation.h"

using namespace boxwood::cuda;

__global__ void fill(float* out, int from, int to) {
    const int i = from + blockIdx.x * blockDim.x + threadIdx.x;
    if (i < to) out[i] = 1.0f;
}

__global__ void copy(const float* in, float* out, int offset) { out[threadIdx.x] = in[threadIdx.x + offset]; }

static cudaLaunchConfig_t shape(unsigned grid, unsigned block) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(grid);
    config.blockDim = dim3(block);
    return config;
}

#pragma GCC visibility push(default)
extern "C" {

// Writes out[from, to) of an array of n.
int write(int n, int from, int to) {
    const DeviceArray<float> out(n);
    const cudaLaunchConfig_t config = shape((to - from + 63) / 64, 64);
    return cudaLaunchKernelEx(&config, fill, out.data(), from, to);
}

// Reads in[offset] of an array of n, a whole number of pages long.
int read(int n, int offset) {
    const DeviceArray<float> in(n), out(1);
    const cudaLaunchConfig_t config = shape(1, 1);
    return cudaLaunchKernelEx(&config, copy, in.data(), out.data(), offset);
}

int pass_host_pointer() {
    float host[64] = {};
    const cudaLaunchConfig_t config = shape(1, 64);
    return cudaLaunchKernelEx(&config, fill, host, 0, 64);
}

int launch_shape(unsigned grid, unsigned block) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(grid, block);
    return cudaLaunchKernelEx(&config, fill, out.data(), 0, 1);
}

int copy_too_much() {
    const DeviceArray<float> in(8);
    float host[16];
    return cudaMemcpyAsync(host, in.data(), sizeof(host), cudaMemcpyDeviceToHost, nullptr);
}

int copy_wrong_way() {
    const DeviceArray<float> in(8);
    float host[8] = {};
    return cudaMemcpyAsync(host, in.data(), sizeof(host), cudaMemcpyHostToDevice, nullptr);
}

float read_unwritten() {
    const Stream stream;
    const DeviceArray<float> in(8), out(1);
    const cudaLaunchConfig_t config = shape(1, 1);
    check(cudaLaunchKernelEx(&config, copy, in.data(), out.data(), 3), "copy");
    float host = 0;
    out.copy_to(&host, stream);
    return host;
}

}  // extern "C"
#pragma GCC visibility pop
