// What the parts of the emulation share: devices and their errors, memory, work in streams. One lock guards
// it all.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "cuda_emulation.h"

namespace cuda_emulation {

constexpr size_t largest_shared_bytes = 227 * 1024, ordinary_shared_bytes = 48 * 1024;
constexpr unsigned char unwritten = 0xff;  // four of them are a float NaN

struct Device {
    size_t memory = (size_t)8 << 30, used = 0;
    cudaError_t lost = cudaSuccess;  // like a device's, an error in a kernel stays
};

// What tests can set; see control() for the names.
struct Settings {
    long seed = 0, devices = 1;
    long operations_to_loss = 0, lost_device = 0;  // a device is lost as it begins its n-th operation
    long allocations_to_failure = 0;               // the n-th allocation fails
    long calls_to_failure = 0;                     // the n-th plan of cuFFT or call of cuBLAS fails,
    long failure_status = 0;                       // with this status; 0: it says that it lacks memory
};

struct Event {
    int device;
    cudaStream_t stream = nullptr;
    uint64_t recorded = 0, completed = 0;
    double seconds = 0;
};

struct Operation {
    std::function<cudaError_t()> run;
    std::shared_ptr<Event> wait;  // and if so, for this turn of it
    uint64_t turn = 0;
};

struct Stream {
    int device;
    std::deque<Operation> work;
    bool destroyed = false;  // its work is done all the same, some time
};

extern std::recursive_mutex lock;
extern Settings settings;
extern std::mt19937 random_numbers;
extern std::string last_fault;  // what was wrong with the last kernel, in words

Device& device(int number);
int current_device();

// Memory. A range lies wholly in one allocation, of this device, of any device if -1, pinned on the host if
// -2.
constexpr int any_device = -1, pinned = -2;
bool allocated(const void* address, size_t bytes, int where);
bool margins_untouched();
// Pinned memory goes with the device that was chosen when it was reserved.
bool lies_pinned_by_lost_device(const void* address);
cudaError_t allocate(void** address, size_t bytes, int where);
cudaError_t release(void* address, int where);
// Device memory can be touched only while a device works.
void open_device_memory(bool open);

// Execution. Runs all blocks of a launch on the current processor thread.
cudaError_t execute(const cudaLaunchConfig_t& config, const std::function<void()>& thread);

// Streams. Adds an operation, and does it at once in the default stream. Null if the stream is none, or none
// any more.
Stream* stream_of(cudaStream_t stream);
cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> run);

// Whether this call of a library fails as tests have ordered.
bool library_fails();

}  // namespace cuda_emulation
