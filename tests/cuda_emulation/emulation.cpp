// A CUDA runtime on the host, for tests. Device memory lies flush against a forbidden zone, so that a
// kernel that leaves its array faults, as on a device; the few bytes that alignment leaves are watched.
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <mutex>
#include <set>

#include "cuda_emulation.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

constexpr size_t page = 4096, guard = 16 << 20;
constexpr unsigned char unwritten = 0xff;  // four of them are a float NaN

struct Allocation {
    unsigned char *pages, *data;  // data ends, but for alignment, where the pages end
    size_t bytes, mapped;         // asked for; readable and writable, from `pages` on
};

std::recursive_mutex lock;
std::map<const unsigned char*, Allocation> allocations;  // by end of data
std::set<cudaStream_t> streams;
sigjmp_buf escape;

void leave_kernel(int) { siglongjmp(escape, 1); }

const Allocation* allocation_of(const void* address, size_t bytes) {
    const auto* p = (const unsigned char*)address;
    const auto found = allocations.upper_bound(p);
    if (found == allocations.end()) return nullptr;
    const Allocation& a = found->second;
    return p >= a.data && bytes <= size_t(a.data + a.bytes - p) ? &a : nullptr;
}

bool margins_untouched(const Allocation& a) {
    for (const unsigned char* p = a.pages; p < a.pages + a.mapped; ++p) {
        if (p == a.data) p += a.bytes;
        if (p < a.pages + a.mapped && *p != unwritten) return false;
    }
    return true;
}

bool launchable(const cudaLaunchConfig_t& c) {
    const dim3 g = c.gridDim, b = c.blockDim;
    return g.x && g.y && g.z && b.x && b.y && b.z && g.x <= 0x7fffffff && g.y <= 65535 && g.z <= 65535 &&
           b.x <= 1024 && b.y <= 1024 && b.z <= 64 && (size_t)b.x * b.y * b.z <= 1024 &&
           c.dynamicSmemBytes == 0;
}

void set_index(uint3& index, const dim3& extent, size_t flat) {
    index = {unsigned(flat % extent.x), unsigned(flat / extent.x % extent.y),
             unsigned(flat / ((size_t)extent.x * extent.y))};
}

}  // namespace

bool cuda_emulation::is_device_address(const void* p) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    return allocation_of(p, 1) != nullptr;
}

cudaError_t cuda_emulation::run(const cudaLaunchConfig_t& config, void (*thread)(void*), void* context) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!launchable(config)) return cudaErrorInvalidConfiguration;
    if (config.stream && !streams.count(config.stream)) return cudaErrorInvalidResourceHandle;
    gridDim = config.gridDim;
    blockDim = config.blockDim;
    struct sigaction action = {}, previous;
    action.sa_handler = leave_kernel;
    sigaction(SIGSEGV, &action, &previous);
    volatile bool faulted = true;
    if (sigsetjmp(escape, 1) == 0) {
        for (size_t b = (size_t)gridDim.x * gridDim.y * gridDim.z; b-- > 0;) {
            set_index(blockIdx, gridDim, b);
            for (size_t t = (size_t)blockDim.x * blockDim.y * blockDim.z; t-- > 0;) {
                set_index(threadIdx, blockDim, t);
                thread(context);
            }
        }
        faulted = false;
    }
    sigaction(SIGSEGV, &previous, nullptr);
    for (const auto& entry : allocations)
        if (!margins_untouched(entry.second)) faulted = true;
    return faulted ? cudaErrorIllegalAddress : cudaSuccess;
}

extern "C" {

cudaError_t cudaMalloc(void** address, size_t bytes) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!address || !bytes) return cudaErrorInvalidValue;
    Allocation a;
    a.bytes = bytes;
    a.mapped = (bytes + page - 1) / page * page;
    void* zone =
        mmap(nullptr, a.mapped + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zone == MAP_FAILED) return cudaErrorMemoryAllocation;
    a.pages = (unsigned char*)zone + guard;
    a.data = a.pages + a.mapped - (bytes + 15) / 16 * 16;
    mprotect(a.pages, a.mapped, PROT_READ | PROT_WRITE);
    memset(a.pages, unwritten, a.mapped);
    allocations[a.data + bytes] = a;
    *address = a.data;
    return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!address) return cudaSuccess;
    const Allocation* found = allocation_of(address, 1);
    if (!found || found->data != address) return cudaErrorInvalidValue;
    const Allocation a = *found;
    allocations.erase(a.data + a.bytes);
    munmap(a.pages - guard, a.mapped + 2 * guard);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (stream && !streams.count(stream)) return cudaErrorInvalidResourceHandle;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device != (allocation_of(to, bytes) != nullptr)) return cudaErrorInvalidValue;
    if (from_device != (allocation_of(from, bytes) != nullptr)) return cudaErrorInvalidValue;
    memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    *stream = (cudaStream_t) new char;
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!streams.erase(stream)) return cudaErrorInvalidResourceHandle;
    delete (char*)stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    return !stream || streams.count(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device != 0) return cudaErrorInvalidDevice;
    *properties = {};
    strcpy(properties->name, "emulated device");
    return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidConfiguration: return "invalid configuration argument";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorInvalidResourceHandle: return "invalid resource handle";
        case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
        default: return "an error the emulation never returns";
    }
}

}  // extern "C"
