// The CUDA runtime's functions: devices, memory, streams and events. Work waits in its stream until something
// is waited for, and then streams run in an order that a seed draws among those that CUDA allows.
#include <string.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "emulation.h"

namespace cuda_emulation {

std::recursive_mutex lock;
Settings settings;
std::mt19937 random_numbers;
std::string last_fault;

namespace {

typedef std::lock_guard<std::recursive_mutex> Hold;

std::map<int, Device> devices;
// By thread, and not thread_local, which is shared memory here.
std::map<std::thread::id, int> chosen_device;
std::map<std::thread::id, cudaError_t> last_error;
std::vector<Stream*> streams;  // in the order of their creation
std::map<cudaEvent_t, std::shared_ptr<Event>> events;
std::map<std::pair<const void*, int>, size_t> allowed_shared_bytes;  // by kernel and device
size_t sent_bytes = 0;                                               // copied to devices
// What the host asked for, in order: a: memory; k: a kernel; <, >: a copy to or from a device, pinned;
// (, ): the same with ordinary memory; |: a wait for what was not done.
std::string history;

cudaError_t lost() { return device(current_device()).lost; }

bool blocked(const Stream& s) {
    const Operation& next = s.work.front();
    return next.wait && next.wait->completed < next.turn && !device(next.wait->device).lost;
}

// Does the first operation of a stream. A lost device does nothing any more.
void step(Stream& s) {
    const Operation next = s.work.front();
    s.work.pop_front();
    Device& d = device(s.device);
    if (d.lost || next.wait) return;
    if (settings.operations_to_loss && s.device == settings.lost_device && --settings.operations_to_loss == 0)
        d.lost = cudaErrorDevicesUnavailable;
    else
        d.lost = next.run();
}

Stream* find(cudaStream_t stream) {
    const auto found = std::find(streams.begin(), streams.end(), (Stream*)stream);
    return found == streams.end() ? nullptr : *found;
}

// The stream that has to go on before this one can.
Stream* needed_by(Stream* s) {
    while (blocked(*s)) s = find(s->work.front().wait->stream);
    return s;
}

// One operation of some stream, on the way to what is wanted of `target`. Seeds choose among three habits:
// others as late as can be, others as early as can be, and chance.
void advance(Stream* target) {
    std::vector<Stream*> able;
    for (Stream* s : streams)
        if (!s->work.empty() && !blocked(*s)) able.push_back(s);
    Stream* next = needed_by(target);
    const long habit = settings.seed % 3;
    if (habit == 1) {
        for (Stream* s : able)
            if (s != next) next = s;
    } else if (habit == 2) {
        next = able[random_numbers() % able.size()];
    }
    step(*next);
}

template <class Finished>
void run_until(Stream* target, const Finished& finished) {
    if (finished()) return;
    history += '|';
    open_device_memory(true);
    while (!finished()) advance(target);
    open_device_memory(false);
}

void finish(Stream* s) {
    run_until(s, [=] { return s->work.empty(); });
}

void finish_device(int number) {
    for (size_t i = 0; i < streams.size(); ++i)
        if (number == any_device || streams[i]->device == number) finish(streams[i]);
}

bool launchable(const cudaLaunchConfig_t& c, const void* kernel) {
    const dim3 g = c.gridDim, b = c.blockDim;
    const auto allowed = allowed_shared_bytes.find({kernel, current_device()});
    return g.x && g.y && g.z && b.x && b.y && b.z && g.x <= 0x7fffffff && g.y <= 65535 && g.z <= 65535 &&
           b.x <= 1024 && b.y <= 1024 && b.z <= 64 && (size_t)b.x * b.y * b.z <= 1024 &&
           c.dynamicSmemBytes <=
               (allowed == allowed_shared_bytes.end() ? ordinary_shared_bytes : allowed->second);
}

// As a call leaves it to be asked for.
cudaError_t remembered(cudaError_t status) {
    if (status) last_error[std::this_thread::get_id()] = status;
    return status;
}

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device != allocated(to, bytes, any_device)) return cudaErrorInvalidValue;
    if (from_device != allocated(from, bytes, any_device)) return cudaErrorInvalidValue;
    if (lies_pinned_by_lost_device(to) || lies_pinned_by_lost_device(from)) return cudaErrorInvalidValue;
    if (!from_device) sent_bytes += bytes;
    if (!from_device) history += allocated(from, bytes, pinned) ? '<' : '(';
    if (!to_device) history += allocated(to, bytes, pinned) ? '>' : ')';
    // Ordinary memory is read before the call returns where it has to be staged; a device that reaches it by
    // itself reads it as late as any other. The seed says which.
    if (from_device || allocated(from, bytes, pinned) || settings.seed % 2)
        return submit(stream, [=] {
            memcpy(to, from, bytes);
            return cudaSuccess;
        });
    const auto taken = std::make_shared<std::vector<char>>((const char*)from, (const char*)from + bytes);
    return submit(stream, [=] {
        memcpy(to, taken->data(), bytes);
        return cudaSuccess;
    });
}

}  // namespace

Device& device(int number) { return devices[number]; }
int current_device() { return chosen_device[std::this_thread::get_id()]; }

Stream* stream_of(cudaStream_t stream) {
    Stream* s = find(stream);
    return s && !s->destroyed ? s : nullptr;
}

cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> run) {
    if (lost()) return lost();
    if (stream) {
        Stream* s = stream_of(stream);
        if (!s) return cudaErrorInvalidResourceHandle;
        s->work.push_back({std::move(run), nullptr, 0});
        return cudaSuccess;
    }
    finish_device(current_device());
    Stream alone{current_device(), {{std::move(run), nullptr, 0}}};
    open_device_memory(true);
    step(alone);
    open_device_memory(false);
    return cudaSuccess;
}

bool library_fails() {
    return settings.calls_to_failure && --settings.calls_to_failure == 0;
}

cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread) {
    const Hold hold(lock);
    if (!launchable(config, kernel)) return cudaErrorInvalidConfiguration;
    const Stream* s = stream_of(config.stream);
    if (s && s->device != current_device()) return cudaErrorInvalidResourceHandle;
    history += 'k';
    return submit(config.stream, [=] { return execute(config, thread); });
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

extern "C" {

// For the tests: 0, or -1 if there is no such setting. "memory" is that of every device in bytes.
__attribute__((visibility("default"))) int cuda_emulation_set(const char* name, long value) {
    const Hold hold(lock);
    const std::string what = name;
    if (what == "seed") {
        settings.seed = value;
        random_numbers.seed((unsigned)value);
    } else if (what == "devices") {
        settings.devices = value;
    } else if (what == "memory") {
        for (int i = 0; i < settings.devices; ++i) device(i).memory = (size_t)value;
    } else if (what == "operations_to_loss") {
        settings.operations_to_loss = value;
    } else if (what == "lost_device") {
        settings.lost_device = value;
    } else if (what == "allocations_to_failure") {
        settings.allocations_to_failure = value;
    } else if (what == "calls_to_failure") {
        settings.calls_to_failure = value;
    } else if (what == "failure_status") {
        settings.failure_status = value;
    } else if (what == "reset") {
        settings = Settings();
        for (auto& entry : devices) {
            entry.second.lost = cudaSuccess;
            entry.second.memory = Device().memory;
        }
        for (Stream* s : streams) s->work.clear();
        history.clear();
        last_error.clear();
    } else {
        return -1;
    }
    return 0;
}

// Bytes copied from the host to devices so far.
__attribute__((visibility("default"))) size_t cuda_emulation_sent_bytes() {
    const Hold hold(lock);
    return sent_bytes;
}

// What the host asked for since the last reset.
__attribute__((visibility("default"))) const char* cuda_emulation_history() { return history.c_str(); }

__attribute__((visibility("default"))) const char* cuda_emulation_fault() { return last_fault.c_str(); }

cudaError_t cudaMalloc(void** address, size_t bytes) {
    const Hold hold(lock);
    if (lost()) return lost();
    history += 'a';
    return remembered(allocate(address, bytes, current_device()));
}

cudaError_t cudaFree(void* address) {
    const Hold hold(lock);
    if (!address) return cudaSuccess;
    finish_device(any_device);
    return release(address, any_device);
}

cudaError_t cudaMallocHost(void** address, size_t bytes) {
    const Hold hold(lock);
    history += 'a';
    return remembered(allocate(address, bytes, pinned));
}

cudaError_t cudaFreeHost(void* address) {
    const Hold hold(lock);
    if (!address) return cudaSuccess;
    finish_device(any_device);
    return release(address, pinned);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    const Hold hold(lock);
    if (lost()) return lost();
    const Device& d = device(current_device());
    *total = d.memory;
    *free = d.memory > d.used ? d.memory - d.used : 0;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    const Hold hold(lock);
    return bytes ? copy(to, from, bytes, kind, stream) : cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
    const Hold hold(lock);
    if (!bytes) return cudaSuccess;
    if (!allocated(to, bytes, any_device)) return cudaErrorInvalidValue;
    return submit(stream, [=] {
        memset(to, value, bytes);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    const Hold hold(lock);
    if (lost()) return lost();
    for (size_t i = streams.size(); i-- > 0;)
        if (streams[i]->destroyed && streams[i]->work.empty()) {
            delete streams[i];
            streams.erase(streams.begin() + i);
        }
    streams.push_back(new Stream{current_device(), {}});
    *stream = (cudaStream_t)streams.back();
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const Hold hold(lock);
    Stream* s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    s->destroyed = true;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const Hold hold(lock);
    Stream* s = stream_of(stream);
    if (stream && !s) return cudaErrorInvalidResourceHandle;
    if (s)
        finish(s);
    else
        finish_device(current_device());
    return device(s ? s->device : current_device()).lost;
}

cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    const Hold hold(lock);
    if (lost()) return lost();
    const auto made = std::make_shared<Event>();
    made->device = current_device();
    *event = (cudaEvent_t)made.get();
    events[*event] = made;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const Hold hold(lock);
    return events.erase(event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const Hold hold(lock);
    const auto found = events.find(event);
    if (found == events.end()) return cudaErrorInvalidResourceHandle;
    const std::shared_ptr<Event> e = found->second;
    const Stream* s = stream_of(stream);
    if (!s || s->device != e->device) return cudaErrorInvalidResourceHandle;
    e->stream = stream;
    const uint64_t turn = ++e->recorded;
    return submit(stream, [=] {
        e->completed = std::max(e->completed, turn);
        e->seconds = now();
        return cudaSuccess;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    const Hold hold(lock);
    const auto found = events.find(event);
    Stream* s = stream_of(stream);
    if (found == events.end() || !s) return cudaErrorInvalidResourceHandle;
    s->work.push_back({nullptr, found->second, found->second->recorded});
    return lost();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const Hold hold(lock);
    const auto found = events.find(event);
    if (found == events.end()) return cudaErrorInvalidResourceHandle;
    const Event& e = *found->second;
    Stream* s = find(e.stream);
    if (s) run_until(s, [&] { return e.completed == e.recorded || device(e.device).lost; });
    return device(e.device).lost;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    const Hold hold(lock);
    if (!events.count(begin) || !events.count(end)) return cudaErrorInvalidResourceHandle;
    const Event &a = *events[begin], &b = *events[end];
    if (!a.recorded || !b.recorded) return cudaErrorInvalidResourceHandle;
    if (a.completed < a.recorded || b.completed < b.recorded) return cudaErrorNotReady;
    *milliseconds = (float)(1e3 * (b.seconds - a.seconds));
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    const Hold hold(lock);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        (size_t)value > largest_shared_bytes)
        return cudaErrorInvalidValue;
    allowed_shared_bytes[{kernel, current_device()}] = (size_t)value;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    const Hold hold(lock);
    *count = (int)settings.devices;
    return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int number) {
    const Hold hold(lock);
    if (number < 0 || number >= settings.devices) return cudaErrorInvalidDevice;
    chosen_device[std::this_thread::get_id()] = number;
    return lost();
}

cudaError_t cudaGetDevice(int* number) {
    const Hold hold(lock);
    *number = current_device();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
    const Hold hold(lock);
    if (number < 0 || number >= settings.devices) return cudaErrorInvalidDevice;
    if (device(number).lost) return device(number).lost;
    *properties = {};
    strcpy(properties->name, "emulated device");
    properties->multiProcessorCount = 2;
    properties->sharedMemPerBlockOptin = largest_shared_bytes;
    properties->totalGlobalMem = device(number).memory;
    properties->major = 9;
    return cudaSuccess;
}

cudaError_t cudaGetLastError() {
    const Hold hold(lock);
    cudaError_t& error = last_error[std::this_thread::get_id()];
    return std::exchange(error, cudaSuccess);
}

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidConfiguration: return "invalid configuration argument";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorNoDevice: return "no CUDA-capable device is detected";
        case cudaErrorInvalidResourceHandle: return "invalid resource handle";
        case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
        case cudaErrorLaunchFailure: return "unspecified launch failure";
        case cudaErrorDevicesUnavailable: return "CUDA-capable device(s) is/are busy or unavailable";
        case cudaErrorNotReady: return "device not ready";
        default: return "an error the emulation never returns";
    }
}

}  // extern "C"
