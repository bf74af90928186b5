// A pool of threads that runs numbered tasks. The numbering, not the number of threads, decides
// what is computed with what, so results do not depend on it.
#pragma once

namespace boxwood {

// Calls body(context, task, worker) once for every task in [0, tasks); worker in [0, threads) names
// the scratch memory to use. Tasks are handed out in order, to whichever worker is free.
void run_tasks(int tasks, int threads, void (*body)(void* context, int task, int worker), void* context);

// Number of processors this process may use.
int available_threads();

}  // namespace boxwood
