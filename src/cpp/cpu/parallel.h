// Runs numbered tasks in threads. The numbering, not the number of threads, decides
// what is computed with what, so results do not depend on it.
#pragma once

namespace boxwood {

// Calls body(context, task, worker) once for every task in [0, tasks); worker in [0, threads) names
// the scratch memory to use; never more workers than tasks. Tasks are handed out in order, to whichever
// worker is free. An exception of a task is thrown again here, once all workers have stopped.
// Throws Stopped if it was asked to stop before all tasks were done.
void run_tasks(int tasks, int threads, void (*body)(void* context, int task, int worker), void* context);

// From any thread: asks whatever runs tasks in this process to stop, until it is taken back.
void request_stop(bool stop);

// Whether it was. Tasks that take longer than a tenth of a second look themselves, and return.
bool stop_requested();

struct Stopped {};

// Throws std::bad_alloc; here, so that files of one instruction set need nothing of the standard library.
[[noreturn]] void out_of_memory();

// Number of processors this process may use.
int available_threads();

}  // namespace boxwood
