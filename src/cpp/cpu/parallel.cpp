#include "cpu/parallel.h"

#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

namespace boxwood {

void run_tasks(int tasks, int threads, void (*body)(void*, int, int), void* context) {
    if (threads > tasks) threads = tasks;
    if (threads <= 1) {
        for (int task = 0; task < tasks; ++task) body(context, task, 0);
        return;
    }
    std::atomic<int> next{0};
    auto work = [&](int worker) {
        for (int task = next++; task < tasks; task = next++) body(context, task, worker);
    };
    std::vector<std::thread> pool;
    for (int worker = 1; worker < threads; ++worker) pool.emplace_back(work, worker);
    work(0);
    for (auto& thread : pool) thread.join();
}

int available_threads() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    const int n = (int)std::thread::hardware_concurrency();
    return n > 0 ? n : 1;
}

}  // namespace boxwood
