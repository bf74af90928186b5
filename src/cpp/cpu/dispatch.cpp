// Chooses the function table for this processor.
#include <stdlib.h>
#include <string.h>

#include "cpu/kernels.h"
#include "cpu/processor.h"

namespace boxwood {

#ifdef BOXWOOD_HAVE_avx512bf16
namespace avx512bf16 {
const KernelTable& table();
}
#endif
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
    [[maybe_unused]] static const Processor runs;
#ifdef BOXWOOD_HAVE_avx512bf16
    if (!strcmp(name, "avx512bf16")) return runs.avx512bf16 ? &avx512bf16::table() : nullptr;
#endif
#ifdef BOXWOOD_HAVE_avx512
    if (!strcmp(name, "avx512")) return runs.avx512 ? &avx512::table() : nullptr;
#endif
#ifdef BOXWOOD_HAVE_avx2
    if (!strcmp(name, "avx2")) return runs.avx2 ? &avx2::table() : nullptr;
#endif
    return strcmp(name, "baseline") ? nullptr : &baseline::table();
}

static const KernelTable* best() {
    if (const KernelTable* t = kernels_named("avx512bf16")) return t;
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
#ifdef BOXWOOD_HAVE_avx512bf16
           " avx512bf16"
#endif
        ;
}

const char* runnable_simd() {
    static char names[64] = "baseline";
    if (strchr(names, ' ')) return names;
    static const char* const newer[] = {"avx2", "avx512", "avx512bf16"};
    for (const char* name : newer)
        if (kernels_named(name)) strcat(strcat(names, " "), name);
    return names;
}

}  // namespace boxwood
