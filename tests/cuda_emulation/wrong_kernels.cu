// Kernels and calls that a device would refuse or that would give rubbish; the emulation must notice each.
// Built only by the tests, called through ctypes; every function returns a cudaError_t or a float.
#include <cublas_v2.h>
#include <cufft.h>

#include "cuda/libraries.h"
#include "cuda/runtime.h"
#include "cuda_emulation.h"

using namespace boxwood::cuda;

namespace {

__global__ void fill(float* out, int from, int to) {
    const int i = from + blockIdx.x * blockDim.x + threadIdx.x;
    if (i < to) out[i] = 1.0f;
}

__global__ void copy(const float* in, float* out, int offset) { out[threadIdx.x] = in[threadIdx.x + offset]; }

__global__ void add(float* out, float x) { out[threadIdx.x] += x; }

// Turns an array round by way of shared memory; barrier: 0 forgets the barrier, 1 has it, 2 has it for some
// only, 3 lets half of the threads leave before.
__global__ void turn_round(float* data, int barrier) {
    __shared__ float place[64];
    const int i = threadIdx.x;
    place[i] = data[i];
    if (barrier == 3 && i % 2) return;
    if (barrier == 2) {
        if (i < 32)
            __syncthreads();
        else
            __syncthreads();
    } else if (barrier) {
        __syncthreads();
    }
    data[i] = place[63 - i];
}

// The sum of an array by halves in shared memory; skip: the round whose barrier is forgotten, or -1.
__global__ void sum(const float* in, float* out, int skip) {
    BOXWOOD_DYNAMIC_SHARED(float, part);
    const int i = threadIdx.x;
    part[i] = in[i];
    __syncthreads();
    for (int half = 128, round = 0; half; half /= 2, ++round) {
        if (i < half) part[i] += part[i + half];
        if (round != skip) __syncthreads();
    }
    if (i == 0) *out = part[0];
}

// Every thread's sum over the block, as in block.h, of a number and then of its square: `barrier` is the one
// after which the next sum may use the room.
__global__ void sum_twice(const float* in, float* out, int barrier) {
    __shared__ float room[8];
    for (int power = 1; power <= 2; ++power) {
        float x = power == 1 ? in[threadIdx.x] : in[threadIdx.x] * in[threadIdx.x];
        for (int step = 16; step; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step);
        if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
        __syncthreads();
        float all = 0;
        for (int i = 0; i < 8; ++i) all += room[i];
        if (barrier) __syncthreads();
        out[(power - 1) * blockDim.x + threadIdx.x] = all;
    }
}

// Writes place[index] of dynamic shared memory and gives back what is in place[read].
__global__ void touch_shared(int index, int read, float* out) {
    BOXWOOD_DYNAMIC_SHARED(float, place);
    if (index >= 0 || index < -1) place[index] = 1.0f;
    *out = place[read];
}

__global__ void read_static_shared_at(float* out, int index) {
    __shared__ float place[8];
    place[threadIdx.x] = 2.0f;
    *out = place[index];
}

__global__ void read_static_shared(float* out, int write) {
    __shared__ float place[8];
    if (write) place[3] = 2.0f;
    *out = place[3];
}

// The sum over a warp; leave: lanes from here on are gone before; mask: who takes part.
__global__ void warp_sum(const float* in, float* out, int leave, unsigned mask) {
    if ((int)threadIdx.x >= leave) return;
    float x = in[threadIdx.x];
    for (int step = 16; step; step /= 2) x += __shfl_down_sync(mask, x, step);
    if (threadIdx.x == 0) *out = x;
}

// Neighbours in a warp speak through shared memory.
__global__ void warp_neighbours(float* data, int synchronise) {
    __shared__ float place[32];
    place[threadIdx.x] = data[threadIdx.x];
    if (synchronise) __syncwarp();
    data[threadIdx.x] = place[(threadIdx.x + 1) % 32];
}

__global__ void different_shuffles(float* data) {
    if (threadIdx.x < 16)
        data[threadIdx.x] = __shfl_xor_sync(0xffffffffu, data[threadIdx.x], 1);
    else
        data[threadIdx.x] = __shfl_xor_sync(0xffffffffu, data[threadIdx.x], 1);
}

cudaLaunchConfig_t shape(unsigned grid, unsigned block, size_t shared_bytes = 0,
                         cudaStream_t stream = nullptr) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(grid);
    config.blockDim = dim3(block);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    return config;
}

// What a launch gives, or else the work itself.
int outcome(cudaError_t launched) { return launched ? launched : cudaStreamSynchronize(nullptr); }

// Device memory that holds 0, 1, 2, …
DeviceArray<float> numbers(int n) {
    const Stream stream;
    std::vector<float> host(n);
    for (int i = 0; i < n; ++i) host[i] = (float)i;
    DeviceArray<float> out(n);
    out.copy_from(host.data(), n, stream);
    stream.wait("copying");
    return out;
}

std::vector<float> read_back(const DeviceArray<float>& data) {
    const Stream stream;
    std::vector<float> host(data.size());
    data.copy_to(host.data(), stream);
    stream.wait("copying");
    return host;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// Every array gets memory of its own, so that leaving it is seen.
void begin() {
    keep_memory(false);
    use_device(0);
}

// Writes out[from, to) of an array of n.
int write(int n, int from, int to) {
    const DeviceArray<float> out(n);
    const cudaLaunchConfig_t config = shape((to - from + 63) / 64, 64);
    return outcome(cudaLaunchKernelEx(&config, fill, out.data(), from, to));
}

// Reads in[offset] of an array of n, a whole number of pages long.
int read(int n, int offset) {
    const DeviceArray<float> in(n), out(1);
    const cudaLaunchConfig_t config = shape(1, 1);
    return outcome(cudaLaunchKernelEx(&config, copy, in.data(), out.data(), offset));
}

int pass_host_pointer() {
    float host[64] = {};
    const cudaLaunchConfig_t config = shape(1, 64);
    return outcome(cudaLaunchKernelEx(&config, fill, host, 0, 64));
}

int launch_shape(unsigned grid, unsigned block, unsigned shared_bytes) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(grid, block, shared_bytes);
    return outcome(cudaLaunchKernelEx(&config, fill, out.data(), 0, 1));
}

int allow_shared(int bytes) {
    return cudaFuncSetAttribute((const void*)&sum, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

int allow_shared_of_fill(int bytes) {
    return cudaFuncSetAttribute((const void*)&fill, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

// By launch() of runtime.h, which asks for what a kernel may have.
int launch_with_shared(int device, int bytes) {
    cudaSetDevice(device);
    try {
        const Stream stream;
        const DeviceArray<float> out(1);
        launch("fill", fill, dim3(1), dim3(64), bytes, stream, out.data(), 0, 1);
        stream.wait("fill");
    } catch (const CudaError&) {
        return -1;
    }
    return 0;
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
    stream.wait("copying");
    return host;
}

// 0 if the array was turned round rightly, -1 if not, else the error.
int turned_round(int barrier) {
    const DeviceArray<float> data = numbers(64);
    const cudaLaunchConfig_t config = shape(1, 64);
    const int status = outcome(cudaLaunchKernelEx(&config, turn_round, data.data(), barrier));
    if (status) return status;
    const std::vector<float> host = read_back(data);
    for (int i = 0; i < 64; ++i)
        if (host[i] != 63 - i) return -1;
    return 0;
}

float block_sum(int skip) {
    const DeviceArray<float> in = numbers(256), out(1);
    const cudaLaunchConfig_t config = shape(1, 256, 256 * sizeof(float));
    check(cudaLaunchKernelEx(&config, sum, in.data(), out.data(), skip), "sum");
    return read_back(out)[0];
}

// 0 if all threads have both sums, -1 if not, else the error.
int block_sums(int barrier) {
    const DeviceArray<float> in = numbers(256), out(512);
    const cudaLaunchConfig_t config = shape(1, 256);
    const int status = outcome(cudaLaunchKernelEx(&config, sum_twice, in.data(), out.data(), barrier));
    if (status) return status;
    const std::vector<float> host = read_back(out);
    for (int i = 0; i < 256; ++i)
        if (host[i] != 255 * 128 || host[256 + i] != 255 * 256 * 511 / 6) return -1;
    return 0;
}

// Writes place[index] (unless -1) and reads place[read] of n floats of shared memory.
int shared_access(int n, int index, int read) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(1, 1, n * sizeof(float));
    return outcome(cudaLaunchKernelEx(&config, touch_shared, index, read, out.data()));
}

float dynamic_shared_value(int index, int read) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(1, 1, 8 * sizeof(float));
    check(cudaLaunchKernelEx(&config, touch_shared, index, read, out.data()), "touch_shared");
    return read_back(out)[0];
}

// What the second of two launches finds in static shared memory, written or not by the first.
// Index 8 is beyond the array, where nothing but a sanitizer looks.
void leave_static_shared(int index) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(1, 1, 0);
    cudaLaunchKernelEx(&config, read_static_shared_at, out.data(), index);
    cudaDeviceSynchronize();
}

float leave_host_memory(int index) {
    const std::vector<float> place(8, 1.0f);
    return place.data()[index];
}

float static_shared_value(int write) {
    const DeviceArray<float> out(1);
    const cudaLaunchConfig_t config = shape(1, 1);
    check(cudaLaunchKernelEx(&config, read_static_shared, out.data(), 1), "read_static_shared");
    check(cudaLaunchKernelEx(&config, read_static_shared, out.data(), write), "read_static_shared");
    return read_back(out)[0];
}

int sum_of_warp(int block, int leave, unsigned mask) {
    const DeviceArray<float> in = numbers(32), out(1);
    const cudaLaunchConfig_t config = shape(1, block);
    const int status = outcome(cudaLaunchKernelEx(&config, warp_sum, in.data(), out.data(), leave, mask));
    return status ? status : read_back(out)[0] == 496 ? 0 : -1;
}

int neighbours(int synchronise) {
    const DeviceArray<float> data = numbers(32);
    const cudaLaunchConfig_t config = shape(1, 32);
    const int status = outcome(cudaLaunchKernelEx(&config, warp_neighbours, data.data(), synchronise));
    if (status) return status;
    const std::vector<float> host = read_back(data);
    for (int i = 0; i < 32; ++i)
        if (host[i] != (i + 1) % 32) return -1;
    return 0;
}

int shuffle_in_two_branches() {
    const DeviceArray<float> data = numbers(32);
    const cudaLaunchConfig_t config = shape(1, 32);
    return outcome(cudaLaunchKernelEx(&config, different_shuffles, data.data()));
}

// One stream copies, another adds 1, with or without waiting for the first, and the first then copies anew
// for the next turn, with or without waiting for the second. The sum over turns of what is found, or NaN.
float turns_of_two_streams(int await_copy, int await_kernel) {
    const Stream copying, computing;
    Event copied, computed;
    const DeviceArray<float> buffer(1), result(4);
    const PinnedArray<float> staging(4), found(4);
    for (int turn = 0; turn < 4; ++turn) {
        staging[turn] = (float)turn;
        if (turn && await_kernel) computed.hold(copying);
        check(cudaMemcpyAsync(buffer.data(), &staging[turn], sizeof(float), cudaMemcpyHostToDevice, copying),
              "copy");
        copied.record(copying);
        if (await_copy) copied.hold(computing);
        const cudaLaunchConfig_t config = shape(1, 1, 0, computing);
        check(cudaLaunchKernelEx(&config, copy, buffer.data(), result.data() + turn, 0), "copy");
        check(cudaLaunchKernelEx(&config, add, result.data() + turn, 1.0f), "add");
        computed.record(computing);
    }
    check(cudaMemcpyAsync(found.data(), result.data(), 4 * sizeof(float), cudaMemcpyDeviceToHost, computing),
          "copy");
    computing.wait("computing");
    copying.wait("copying");
    return found[0] + found[1] * 10 + found[2] * 100 + found[3] * 1000;
}

// Memory of the host, pinned or ordinary, that is written anew before the copy of it is done.
float staging_reused(int is_pinned, int wait) {
    const Stream stream;
    const PinnedArray<float> pinned(1);
    float ordinary = 0;
    float* const staging = is_pinned ? pinned.data() : &ordinary;
    DeviceArray<float> out(1);
    *staging = 1.0f;
    out.copy_from(staging, 1, stream);
    if (wait) stream.wait("copying");
    *staging = 2.0f;
    stream.wait("copying");
    return read_back(out)[0];
}

// A result that is looked at before it has come.
float looked_at_too_early(int wait) {
    const Stream stream;
    const PinnedArray<float> found(1);
    const DeviceArray<float> in = numbers(1);
    in.copy_to(found.data(), 1, stream);
    if (wait) stream.wait("copying");
    const float seen = found[0];
    stream.wait("copying");
    return seen;
}

// A kernel on device 0 with memory of device `owner`.
int memory_of_device(int owner) {
    check(cudaSetDevice(owner), "choosing");
    const DeviceArray<float> out(64);
    check(cudaSetDevice(0), "choosing");
    const cudaLaunchConfig_t config = shape(1, 64);
    return outcome(cudaLaunchKernelEx(&config, fill, out.data(), 0, 64));
}

// The largest allocation that succeeds, in units of 1 MiB, with `held` of them held.
int room(int held) {
    const DeviceArray<char> some((size_t)held << 20);
    return (int)(free_memory() >> 20);
}

int reserve(int mebibytes) {
    try {
        const DeviceArray<char> some((size_t)mebibytes << 20);
    } catch (const OutOfMemory&) {
        return cudaErrorMemoryAllocation;
    }
    return 0;
}

// C = A B for column-major 3 x 4 and 4 x 2 with these leading dimensions; 0 if it is right.
int product(int a_leading, int b_leading, int c_leading, int tf32) {
    const Stream stream;
    const Blas blas(stream);
    const DeviceArray<float> a = numbers(12), b = numbers(8), c(6);
    const float one = 1, zero = 0;
    const int status = cublasGemmStridedBatchedEx(
        blas, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 4, &one, a.data(), CUDA_R_32F, a_leading, 12, b.data(),
        CUDA_R_32F, b_leading, 8, &zero, c.data(), CUDA_R_32F, c_leading, 6, 1,
        tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (status) return status;
    stream.wait("product");
    const std::vector<float> got = read_back(c);
    for (int row = 0; row < 3; ++row)
        for (int column = 0; column < 2; ++column) {
            float want = 0;
            for (int i = 0; i < 4; ++i) want += (float)(row + 3 * i) * (float)(i + 4 * column);
            if (got[row + 3 * column] != want) return -1;
        }
    return 0;
}

// n x n real values to their transform and back; the largest difference from n n times the values, or what is
// in the half-complex array afterwards.
float there_and_back(int n, int look_at_spectrum) {
    const Stream stream;
    const DeviceArray<float> image = numbers(n * n), back(n * n), spectrum(n * (n / 2 + 1) * 2);
    const FftPlan forward({n, n}, CUFFT_R2C, 1, stream), backward({n, n}, CUFFT_C2R, 1, stream);
    check(cufftExecR2C(forward, image.data(), (cufftComplex*)spectrum.data()), "forward");
    check(cufftExecC2R(backward, (cufftComplex*)spectrum.data(), back.data()), "backward");
    stream.wait("transforms");
    if (look_at_spectrum) return read_back(spectrum)[0];
    const std::vector<float> got = read_back(back);
    float worst = 0;
    for (int i = 0; i < n * n; ++i) worst = fmaxf(worst, fabsf(got[i] - (float)n * n * i));
    return worst;
}

}  // extern "C"
#pragma GCC visibility pop
