// How work is cut to the memory of a device, and how host memory gets there and back.
#pragma once
#include <string.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

// Waits for a stream when the scope ends, however it ends: declared after the arrays that the stream uses.
class Finish {
public:
    explicit Finish(const Stream& stream) : stream_(stream) {}
    ~Finish() { cudaStreamSynchronize(stream_); }
    Finish(const Finish&) = delete;
    Finish& operator=(const Finish&) = delete;

private:
    const Stream& stream_;
};

// The right to work on a device. Two calls are enough for one to copy while the other computes; more would
// only divide its memory.
class Turn {
public:
    explicit Turn(int device) : device_(device) {
        use_device(device);
        std::unique_lock<std::mutex> hold(waiting().lock);
        waiting().changed.wait(hold, [&] { return waiting().working[device] < 2; });
        ++waiting().working[device];
    }
    ~Turn() {
        const std::lock_guard<std::mutex> hold(waiting().lock);
        --waiting().working[device_];
        waiting().changed.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    struct Waiting {
        std::mutex lock;
        std::condition_variable changed;
        std::map<int, int> working;  // calls, by device
    };
    static Waiting& waiting() {
        static Waiting all;
        return all;
    }
    const int device_;
};

// More memory for one batch does not make it faster.
constexpr size_t batch_bytes = (size_t)256 << 20;

// Things of `count` to work on at once, that need so many bytes each: what a third of the free memory holds
// (two turns, and a rest), in batches of about the same size.
inline int batch_size(int count, size_t bytes_each) {
    const size_t bytes = std::min(batch_bytes, free_memory() / 3);
    const int most = (int)std::max<size_t>(1, std::min<size_t>(bytes / bytes_each, 65535));
    const int batches = (count + most - 1) / most;
    return (count + batches - 1) / batches;
}

// run(batch), again with half of it as long as memory does not suffice.
template <class Run>
void with_less_on_failure(int batch, const Run& run) {
    for (;; batch = (batch + 1) / 2) {
        try {
            return run(batch);
        } catch (const OutOfMemory&) {
            if (batch <= 1) throw;
        }
    }
}

// Copies from ordinary memory through pinned memory in two pieces: one is filled while the other is on its
// way.
class Upload {
public:
    explicit Upload(const Stream& stream) : stream_(stream), pieces_(2 * piece) {}
    template <class T>
    void send(const T* host, size_t n, T* device) {
        const char* from = (const char*)host;
        char* to = (char*)device;
        for (size_t left = n * sizeof(T); left; turn_ ^= 1) {
            const size_t bytes = std::min(left, piece);
            char* const pinned = pieces_.data() + turn_ * piece;
            if (used_[turn_]) sent_[turn_].wait("copying to the device");
            memcpy(pinned, from, bytes);
            check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, stream_),
                  "copying to the device");
            sent_[turn_].record(stream_);
            used_[turn_] = true;
            from += bytes, to += bytes, left -= bytes;
        }
    }

private:
    static constexpr size_t piece = (size_t)4 << 20;
    const Stream& stream_;
    PinnedArray<char> pieces_;
    Event sent_[2];
    bool used_[2] = {};
    int turn_ = 0;
};

}  // namespace cuda
}  // namespace boxwood
