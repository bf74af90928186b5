// What this processor, and the operating system on it, can run.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace boxwood {

// Asked of the processor itself: __builtin_cpu_supports answers "nothing" with run-time libraries that leave it out.
struct Processor {
    bool avx2 = false, avx512 = false, avx512bf16 = false;

#if defined(__x86_64__)
    Processor() {
        unsigned a, b, c, d, a1 = 0, unused;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return;
        const bool fma = has(c, 12), saves = has(c, 27);
        if (!saves || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
        if (a >= 1) __get_cpuid_count(7, 1, &a1, &unused, &unused, &unused);
        const unsigned kept = saved_registers();
        avx2 = (kept & 0x06) == 0x06 && fma && has(b, 5);
        // avx512 f, dq, bw, vl
        avx512 = avx2 && (kept & 0xe6) == 0xe6 && has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31);
        avx512bf16 = avx512 && has(a1, 5);
    }

  private:
    static bool has(unsigned word, int bit) { return (word >> bit) & 1; }

    // Registers that the operating system keeps for each thread (XCR0).
    static unsigned saved_registers() {
        unsigned low, high;
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return low;
    }
#endif
};

}  // namespace boxwood
