#include "cpu/parallel.h"

#include <sched.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace boxwood {
namespace {

std::atomic<bool> stopping{false};

}  // namespace

void request_stop(bool stop) { stopping = stop; }

bool stop_requested() { return stopping.load(std::memory_order_relaxed); }

void run_tasks(int tasks, int threads, void (*body)(void*, int, int), void* context) {
    if (threads > tasks) threads = tasks;
    if (threads <= 1) {
        for (int task = 0; task < tasks && !stop_requested(); ++task) body(context, task, 0);
        if (stop_requested()) throw Stopped();
        return;
    }
    std::atomic<int> next{0};
    std::mutex guard;
    std::exception_ptr failure;
    auto work = [&](int worker) {
        try {
            for (int task = next++; task < tasks && !stop_requested(); task = next++)
                body(context, task, worker);
        } catch (...) {
            next = tasks;
            const std::lock_guard<std::mutex> lock(guard);
            if (!failure) failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    try {
        for (int worker = 1; worker < threads; ++worker) others.emplace_back(work, worker);
    } catch (const std::system_error&) {
        // The system grants no more threads: those there are do all tasks.
    }
    work(0);
    for (auto& thread : others) thread.join();
    if (failure) std::rethrow_exception(failure);
    if (stop_requested()) throw Stopped();
}

void out_of_memory() { throw std::bad_alloc(); }

int available_threads() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    const int n = (int)std::thread::hardware_concurrency();
    return n > 0 ? n : 1;
}

}  // namespace boxwood
