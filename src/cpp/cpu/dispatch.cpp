// Chooses the function table for this processor.
#include <stdlib.h>
#include <string.h>

#include "cpu/kernels.h"

namespace boxwood {

#ifdef BOXWOOD_HAVE_avx512
namespace avx512 {
const KernelTable& table();
}
#endif
#ifdef BOXWOOD_HAVE_avx2
namespace avx2 {
const KernelTable& table();
}
#endif
namespace baseline {
const KernelTable& table();
}

const KernelTable* kernels_named(const char* name) {
#ifdef BOXWOOD_HAVE_avx512
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
                   ? &avx512::table()
                   : nullptr;
#endif
#ifdef BOXWOOD_HAVE_avx2
    if (!strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::table() : nullptr;
#endif
    return strcmp(name, "baseline") ? nullptr : &baseline::table();
}

static const KernelTable* best() {
    if (const KernelTable* t = kernels_named("avx512")) return t;
    if (const KernelTable* t = kernels_named("avx2")) return t;
    return &baseline::table();
}

static const KernelTable* chosen = nullptr;

bool use_kernels(const char* name) {
    const KernelTable* t = kernels_named(name);
    if (t) chosen = t;
    return t != nullptr;
}

const KernelTable& kernels() {
    if (!chosen) chosen = best();
    return *chosen;
}

const char* compiled_simd() {
    return "baseline"
#ifdef BOXWOOD_HAVE_avx2
           " avx2"
#endif
#ifdef BOXWOOD_HAVE_avx512
           " avx512"
#endif
        ;
}

const char* runnable_simd() {
    if (kernels_named("avx512")) return kernels_named("avx2") ? "baseline avx2 avx512" : "baseline avx512";
    return kernels_named("avx2") ? "baseline avx2" : "baseline";
}

}  // namespace boxwood
