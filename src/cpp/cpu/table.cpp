// The function table of one instruction set.
#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

void ctf(const CtfArgs&);
void fft(const FftArgs&);

#define BOXWOOD_STRING_(x) #x
#define BOXWOOD_STRING(x) BOXWOOD_STRING_(x)

const KernelTable& table() {
    static const KernelTable t = {BOXWOOD_STRING(BOXWOOD_SIMD), lanes, ctf, fft};
    return t;
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
