// Memory that is kept from one call to the next, since reserving it costs more than many a kernel.
#pragma once
#include <stddef.h>

namespace boxwood {
namespace cuda {

// Blocks of the current device, or of the host, pinned. Throws OutOfMemory, once what is kept has been given
// up.
void* take_device_memory(size_t bytes);
void* take_pinned_memory(size_t bytes);
void give_back(void* block) noexcept;  // null is allowed

// Bytes that can be reserved on the current device, those that are kept among them.
size_t free_memory();
// Whether memory is kept; false gives up what is. Tests want every array in a block of its own.
void keep_memory(bool keep);

}  // namespace cuda
}  // namespace boxwood
