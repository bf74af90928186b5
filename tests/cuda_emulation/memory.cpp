// Device and pinned memory. Each allocation lies flush against a forbidden zone, so that a kernel which
// leaves it faults, as on a device; the few bytes that alignment leaves are watched.
#include <sys/mman.h>

#include <map>

#include "emulation.h"

namespace cuda_emulation {
namespace {

constexpr size_t page = 4096, guard = 16 << 20;

struct Allocation {
    unsigned char *pages, *data;  // data ends, but for alignment, where the pages end
    size_t bytes, mapped;         // asked for; readable and writable, from `pages` on
    int where, owner;             // owner: the device that was chosen
};

std::map<const unsigned char*, Allocation> allocations;  // by end of data

const Allocation* allocation_of(const void* address, size_t bytes) {
    const auto* p = (const unsigned char*)address;
    const auto found = allocations.upper_bound(p);
    if (found == allocations.end()) return nullptr;
    const Allocation& a = found->second;
    return p >= a.data && bytes <= size_t(a.data + a.bytes - p) ? &a : nullptr;
}

bool margins_untouched(const Allocation& a) {
    for (const unsigned char* p = a.pages; p < a.data; ++p)
        if (*p != unwritten) return false;
    for (const unsigned char* p = a.data + a.bytes; p < a.pages + a.mapped; ++p)
        if (*p != unwritten) return false;
    return true;
}

}  // namespace

bool allocated(const void* address, size_t bytes, int where) {
    const Allocation* a = allocation_of(address, bytes);
    return a && (where == any_device ? a->where >= 0 : a->where == where);
}

bool lies_pinned_by_lost_device(const void* address) {
    const Allocation* a = allocation_of(address, 1);
    return a && a->where == pinned && device(a->owner).lost;
}

bool is_device_address(const void* p) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    return allocated(p, 1, current_device()) || allocated(p, 1, pinned);
}

bool margins_untouched() {
    for (const auto& entry : allocations)
        if (!margins_untouched(entry.second)) return false;
    return true;
}

void open_device_memory(bool open) {
    for (const auto& entry : allocations) {
        const Allocation& a = entry.second;
        if (a.where >= 0) mprotect(a.pages, a.mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
}

cudaError_t allocate(void** address, size_t bytes, int where) {
    if (!address || !bytes) return cudaErrorInvalidValue;
    if (settings.allocations_to_failure && --settings.allocations_to_failure == 0)
        return cudaErrorMemoryAllocation;
    if (where >= 0) {
        Device& d = device(where);
        if (d.used + bytes > d.memory) return cudaErrorMemoryAllocation;
        d.used += bytes;
    }
    Allocation a;
    a.where = where;
    a.owner = current_device();
    a.bytes = bytes;
    a.mapped = (bytes + page - 1) / page * page;
    void* zone =
        mmap(nullptr, a.mapped + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zone == MAP_FAILED) return cudaErrorMemoryAllocation;
    a.pages = (unsigned char*)zone + guard;
    a.data = a.pages + a.mapped - (bytes + 15) / 16 * 16;
    mprotect(a.pages, a.mapped, PROT_READ | PROT_WRITE);
    memset(a.pages, unwritten, a.mapped);
    if (where >= 0) mprotect(a.pages, a.mapped, PROT_NONE);
    allocations[a.data + bytes] = a;
    *address = a.data;
    return cudaSuccess;
}

cudaError_t release(void* address, int where) {
    const Allocation* found = allocation_of(address, 1);
    if (!found || found->data != address || (found->where == pinned) != (where == pinned))
        return cudaErrorInvalidValue;
    const Allocation a = *found;
    if (a.where >= 0) device(a.where).used -= a.bytes;
    allocations.erase(a.data + a.bytes);
    munmap(a.pages - guard, a.mapped + 2 * guard);
    return cudaSuccess;
}

}  // namespace cuda_emulation
