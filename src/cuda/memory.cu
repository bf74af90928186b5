#include <map>
#include <mutex>

#include "cuda/memory.h"
#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {
namespace {

// Pinned memory goes with the device that was chosen when it was reserved, so it is kept for that one alone.
int pinned_for(int device) { return -1 - device; }
bool is_pinned(int where) { return where < 0; }

struct Block {
    int where;  // device, or pinned_for(device)
    size_t bytes;
};

std::mutex lock;
std::map<void*, Block> used;
std::multimap<std::pair<int, size_t>, void*> kept;  // by where and bytes
bool keeping = true;

void release(void* block, int where) {
    if (is_pinned(where))
        cudaFreeHost(block);
    else
        cudaFree(block);
}

void release_kept() {
    for (const auto& entry : kept) release(entry.second, entry.first.first);
    kept.clear();
}

// Sizes are rounded up by at most an eighth, so that a block fits again.
size_t rounded(size_t bytes) {
    size_t step = 256;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

cudaError_t reserve(void** block, size_t bytes, int where) {
    return is_pinned(where) ? cudaMallocHost(block, bytes) : cudaMalloc(block, bytes);
}

void* take(size_t bytes, int where) {
    const std::lock_guard<std::mutex> hold(lock);
    if (keeping) bytes = rounded(bytes);
    const auto found = kept.find({where, bytes});
    void* block = nullptr;
    if (found != kept.end()) {
        block = found->second;
        kept.erase(found);
    } else {
        cudaError_t status = reserve(&block, bytes, where);
        if (status == cudaErrorMemoryAllocation && !kept.empty()) {
            release_kept();
            cudaGetLastError();  // libraries ask for it, too, and would take it for their own
            status = reserve(&block, bytes, where);
        }
        check(status, is_pinned(where) ? "reserving pinned memory" : "reserving device memory");
    }
    used[block] = {where, bytes};
    return block;
}

int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "asking for the device");
    return device;
}

}  // namespace

void* take_device_memory(size_t bytes) { return take(bytes, current_device()); }
void* take_pinned_memory(size_t bytes) { return take(bytes, pinned_for(current_device())); }

void give_back(void* block) noexcept {
    const std::lock_guard<std::mutex> hold(lock);
    const auto found = used.find(block);
    if (found == used.end()) return;
    const Block b = found->second;
    used.erase(found);
    if (keeping)
        kept.insert({{b.where, b.bytes}, block});
    else
        release(block, b.where);
}

size_t free_memory() {
    const std::lock_guard<std::mutex> hold(lock);
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    const int device = current_device();
    for (const auto& entry : kept)
        if (entry.first.first == device) free += entry.first.second;
    return free;
}

void keep_memory(bool keep) {
    const std::lock_guard<std::mutex> hold(lock);
    keeping = keep;
    if (!keep) release_kept();
}

}  // namespace cuda
}  // namespace boxwood
