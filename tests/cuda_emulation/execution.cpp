// Blocks of CUDA threads as fibers: barriers, operations of a warp, shared memory.
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "emulation.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_emulation {
namespace {

constexpr size_t stack_bytes = 256 << 10, page = 4096;

enum State { ready, at_barrier, at_warp, done };

struct Fiber {
    char* stack;
    ucontext_t context;
    jmp_buf place;
    bool begun = false;
};

struct Thread {
    uint3 index;
    State state = ready;
    Fiber* fiber = nullptr;
    int line = 0, source = 0;
    WarpOperation operation = warp_synchronise;
    unsigned mask = 0;
    uint64_t value = 0;
};

std::vector<Thread> threads;  // of the block at work
std::vector<Fiber*> idle;
size_t running;
const std::function<void()>* body;
jmp_buf scheduler_place;
sigjmp_buf escape;
bool in_kernel = false, at_fault = false;
// Dynamic shared memory ends, but for alignment, where forbidden memory begins.
unsigned char *dynamic_memory, *dynamic_begin;
constexpr size_t shared_margin = 64;
// What __shared__ is made of lies in the thread-local storage of this library, around this.
thread_local char beacon;

#if defined(__SANITIZE_ADDRESS__)
ucontext_t scheduler_context;
const void* scheduler_stack;
size_t scheduler_stack_bytes;
#endif

// Switches between the scheduler and a fiber. A sanitizer has to be told of each.
void enter_fiber(Fiber& f) {
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, f.stack, stack_bytes);
    swapcontext(&scheduler_context, &f.context);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    if (_setjmp(scheduler_place)) return;
    if (f.begun) _longjmp(f.place, 1);
    f.begun = true;
    setcontext(&f.context);
#endif
}

void leave_fiber() {
    Fiber& f = *threads[running].fiber;
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_stack_bytes);
    swapcontext(&f.context, &scheduler_context);
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_stack_bytes);
#else
    if (!_setjmp(f.place)) _longjmp(scheduler_place, 1);
#endif
}

void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
    for (;;) {
        (*body)();
        threads[running].state = done;
        leave_fiber();
    }
}

Fiber* take_fiber() {
    if (!idle.empty()) {
        Fiber* f = idle.back();
        idle.pop_back();
        return f;
    }
    Fiber* const f = new Fiber;
    char* memory = (char*)mmap(nullptr, stack_bytes + page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mprotect(memory, page, PROT_NONE);
    f->stack = memory + page;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = stack_bytes;
    f->context.uc_link = nullptr;
    makecontext(&f->context, fiber_main, 0);
    return f;
}

// Ends the block from within a kernel or the scheduler.
void fault(const std::string& words) {
    last_fault = words;
    at_fault = true;
}

std::string where(const Thread& t) {
    return "thread " + std::to_string(&t - threads.data()) + " at line " + std::to_string(t.line);
}

// Does an operation of a warp if all of its lanes are there.
void try_to_meet(size_t last) {
    const Thread& mine = threads[last];
    const size_t first = last / 32 * 32;
    if (!(mine.mask >> (last % 32) & 1)) return fault(where(mine) + " is not in its own mask");
    for (size_t i = 0; i < 32; ++i) {
        if (!(mine.mask >> i & 1)) continue;
        if (first + i >= threads.size()) return fault(where(mine) + " waits for a lane that does not exist");
        const Thread& other = threads[first + i];
        if (other.state == done) return fault(where(mine) + " waits for a lane that has exited");
        if (other.state != at_warp) return;
        if (other.operation != mine.operation || other.mask != mine.mask || other.line != mine.line)
            return fault(where(mine) + " and " + where(other) + " do different things with one another");
    }
    uint64_t ballot = 0, values[32];
    for (size_t i = 0; i < 32 && first + i < threads.size(); ++i) {
        values[i] = threads[first + i].value;
        if ((mine.mask >> i & 1) && values[i]) ballot |= (uint64_t)1 << i;
    }
    for (size_t i = 0; i < 32; ++i) {
        if (!(mine.mask >> i & 1)) continue;
        Thread& t = threads[first + i];
        if (t.operation == warp_shuffle) {
            if (t.source < 0 || t.source > 31 || !(mine.mask >> t.source & 1))
                return fault(where(t) + " reads from a lane that takes no part");
            t.value = values[t.source];
        } else {
            t.value = ballot;
        }
        t.state = ready;
    }
}

void try_to_pass_barrier() {
    const Thread* some = nullptr;
    for (const Thread& t : threads)
        if (t.state == at_barrier) some = &t;
    for (const Thread& t : threads) {
        if (some && t.state == done) return fault(where(*some) + " waits at a barrier, others have exited");
        if (t.state == at_warp) return fault(where(t) + " waits for lanes that never come");
        if (some && t.line != some->line)
            return fault(where(*some) + " and " + where(t) + " wait at different barriers");
    }
    for (Thread& t : threads) t.state = ready;
}

int find_storage(dl_phdr_info* info, size_t, void* out) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& header = info->dlpi_phdr[i];
        auto* begin = (unsigned char*)info->dlpi_tls_data;
        if (header.p_type != PT_TLS || !begin) continue;
        if ((unsigned char*)&beacon < begin || (unsigned char*)&beacon >= begin + header.p_memsz) continue;
        *(std::pair<unsigned char*, size_t>*)out = {begin, header.p_memsz};
        return 1;
    }
    return 0;
}

void begin_shared_memory(size_t dynamic_bytes) {
    beacon = 0;
    std::pair<unsigned char*, size_t> storage(nullptr, 0);
    dl_iterate_phdr(find_storage, &storage);
    memset(storage.first, unwritten, storage.second);
    dynamic_begin = dynamic_memory + largest_shared_bytes - (dynamic_bytes + 15) / 16 * 16;
    memset(dynamic_begin - shared_margin, unwritten,
           dynamic_memory + largest_shared_bytes - dynamic_begin + shared_margin);
}

// Whether something was written before the dynamic shared memory, or in the rest of its last 16 bytes.
bool dynamic_memory_left(size_t bytes) {
    const auto written = [](unsigned char c) { return c != unwritten; };
    return std::any_of(dynamic_begin - shared_margin, dynamic_begin, written) ||
           std::any_of(dynamic_begin + bytes, dynamic_memory + largest_shared_bytes, written);
}

void set_index(uint3& index, const dim3& extent, size_t flat) {
    index = {unsigned(flat % extent.x), unsigned(flat / extent.x % extent.y),
             unsigned(flat / ((size_t)extent.x * extent.y))};
}

// Of threads that are ready, those of one warp, the one before as long as some of it are.
void keep_one_warp(std::vector<size_t>& ready_threads, size_t& warp) {
    const auto of_warp = [&](size_t i) { return i / 32 == warp; };
    if (std::none_of(ready_threads.begin(), ready_threads.end(), of_warp))
        warp = ready_threads[random_numbers() % ready_threads.size()] / 32;
    ready_threads.erase(std::remove_if(ready_threads.begin(), ready_threads.end(), std::not_fn(of_warp)),
                        ready_threads.end());
}

// Threads run from one meeting to the next, in blocks that a seed chooses all warps side by side, in others
// each warp as far ahead as a barrier lets it: what it leaves in shared memory too early, others then find
// there.
void run_block() {
    std::vector<size_t> order;
    const bool ahead = settings.seed && random_numbers() % 2;
    size_t warp = 0;
    for (;;) {
        order.clear();
        for (size_t i = 0; i < threads.size(); ++i)
            if (threads[i].state == ready) order.push_back(i);
        if (ahead && !order.empty()) keep_one_warp(order, warp);
        if (order.empty()) {
            if (std::all_of(threads.begin(), threads.end(), [](auto& t) { return t.state == done; })) return;
            try_to_pass_barrier();
        }
        if (at_fault) return;
        if (settings.seed) std::shuffle(order.begin(), order.end(), random_numbers);
        for (const size_t i : order) {
            Thread& t = threads[i];
            if (!t.fiber) t.fiber = take_fiber();
            running = i;
            threadIdx = t.index;
            enter_fiber(*t.fiber);
            if (t.state == done) {
                idle.push_back(t.fiber);
                t.fiber = nullptr;
            } else if (t.state == at_warp) {
                try_to_meet(i);
            }
            if (at_fault) return;
        }
    }
}

void leave_kernel(int) {
    if (!in_kernel) {  // not ours
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    siglongjmp(escape, 1);
}

void run_grid(size_t dynamic_bytes) {
    std::vector<size_t> blocks((size_t)gridDim.x * gridDim.y * gridDim.z);
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = blocks.size() - 1 - i;
    if (settings.seed) std::shuffle(blocks.begin(), blocks.end(), random_numbers);
    threads.assign((size_t)blockDim.x * blockDim.y * blockDim.z, Thread());
    for (const size_t b : blocks) {
        set_index(blockIdx, gridDim, b);
        for (size_t i = 0; i < threads.size(); ++i) {
            threads[i] = Thread();
            set_index(threads[i].index, blockDim, i);
        }
        begin_shared_memory(dynamic_bytes);
        run_block();
        if (!at_fault && dynamic_memory_left(dynamic_bytes)) fault("dynamic shared memory was left");
        if (at_fault) return;
    }
}

}  // namespace

void* dynamic_shared_memory() { return dynamic_begin; }

void barrier(int line) {
    Thread& t = threads[running];
    t.state = at_barrier;
    t.line = line;
    leave_fiber();
}

int lane() { return (int)(running % 32); }

uint64_t meet(WarpOperation operation, unsigned mask, uint64_t value, int source, int line) {
    Thread& t = threads[running];
    t.state = at_warp;
    t.operation = operation;
    t.mask = mask;
    t.value = value;
    t.source = source;
    t.line = line;
    const size_t me = running;
    leave_fiber();
    return threads[me].value;
}

cudaError_t execute(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
    gridDim = config.gridDim;
    blockDim = config.blockDim;
    body = &thread;
    at_fault = false;
    static char* signal_stack = new char[64 << 10];
    if (!dynamic_memory) {
        static_assert(largest_shared_bytes % page == 3072, "the end is aligned by the room before it");
        auto* memory = (unsigned char*)mmap(nullptr, largest_shared_bytes + 1024 + 2 * page,
                                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        dynamic_memory = memory + page + 1024;
        mprotect(dynamic_memory + largest_shared_bytes, page, PROT_NONE);
    }
    stack_t stack = {}, stack_before;
    stack.ss_sp = signal_stack;
    stack.ss_size = 64 << 10;
    sigaltstack(&stack, &stack_before);
    struct sigaction action = {}, before;
    action.sa_handler = leave_kernel;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before);
    volatile bool illegal = true;
    if (sigsetjmp(escape, 1) == 0) {
        in_kernel = true;
        run_grid(config.dynamicSmemBytes);
        illegal = false;
    }
    in_kernel = false;
    sigaction(SIGSEGV, &before, nullptr);
    sigaltstack(&stack_before, nullptr);
    if (illegal || at_fault) idle.clear();  // some hang in the middle of a kernel; they are left there
    if (illegal) last_fault = "memory that is none";
    if (!illegal && !at_fault && !margins_untouched()) {
        illegal = true;
        last_fault = "memory beside an allocation was written";
    }
    return illegal ? cudaErrorIllegalAddress : at_fault ? cudaErrorLaunchFailure : cudaSuccess;
}

}  // namespace cuda_emulation
