#include <atomic>
#include <mutex>
#include <vector>

#include "cuda/runtime.h"
#include "cuda/stages.h"

namespace boxwood {
namespace cuda {
namespace {

struct Taken {
    const char* name;
    cudaEvent_t begin, end;
};

std::atomic<bool> timing{false};
std::mutex lock;
std::vector<Taken> taken;

cudaEvent_t mark(cudaStream_t stream) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDefault), "creating an event");
    check(cudaEventRecord(event, stream), "recording an event");
    return event;
}

void forget() {
    for (const Taken& t : taken) {
        cudaEventDestroy(t.begin);
        cudaEventDestroy(t.end);
    }
    taken.clear();
}

}  // namespace

void time_stages(bool on) {
    const std::lock_guard<std::mutex> hold(lock);
    forget();
    timing = on;
}

std::map<std::string, StageTime> stage_times() {
    const std::lock_guard<std::mutex> hold(lock);
    std::map<std::string, StageTime> times;
    for (const Taken& t : taken) {
        float milliseconds = 0;
        check(cudaEventSynchronize(t.end), "timing");
        check(cudaEventElapsedTime(&milliseconds, t.begin, t.end), "timing");
        times[t.name].seconds += 1e-3 * milliseconds;
        ++times[t.name].count;
    }
    forget();
    return times;
}

Stage::Stage(const char* name, cudaStream_t stream) : name_(name), stream_(stream) {
    if (timing) begin_ = mark(stream);
}

Stage::~Stage() {
    if (!begin_) return;
    cudaEvent_t end = nullptr;
    // An error here is met again by whoever waits for the stream.
    if (cudaEventCreateWithFlags(&end, cudaEventDefault) != cudaSuccess) return;
    cudaEventRecord(end, stream_);
    const std::lock_guard<std::mutex> hold(lock);
    taken.push_back({name_, begin_, end});
}

}  // namespace cuda
}  // namespace boxwood
