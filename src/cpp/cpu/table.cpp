// The function table of one instruction set.
#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

#define BOXWOOD_DECLARE(kernel, Args) void kernel(const Args&);
BOXWOOD_FOR_EACH_KERNEL(BOXWOOD_DECLARE)

#define BOXWOOD_STRING_(x) #x
#define BOXWOOD_STRING(x) BOXWOOD_STRING_(x)
#define BOXWOOD_ENTRY(kernel, Args) , kernel

#if defined(__AVX512BF16__)
constexpr bool bf16 = true;
#else
constexpr bool bf16 = false;
#endif

const KernelTable& table() {
    static const KernelTable t = {BOXWOOD_STRING(BOXWOOD_SIMD), lanes, bf16 BOXWOOD_FOR_EACH_KERNEL(BOXWOOD_ENTRY)};
    return t;
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
