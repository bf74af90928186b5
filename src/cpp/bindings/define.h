// Bindings of kernels that several backends have: arrays are checked and wrapped in one place, and what is
// run with them, and on which threads or device, is the backend's.
#pragma once
#include <functional>

#include "bindings/arrays.h"
#include "math/arguments.h"

namespace boxwood {

// The last argument of the Python function, called `last` there: threads, or a device.
template <class Args>
using Run = std::function<void(Args&, int last)>;

void define_ctf(py::module_&, const char* last, Run<CtfArgs>);
void define_log_pick(py::module_&, const char* last, Run<LogPickArgs>, Run<LogPeaksArgs>);
void define_extract(py::module_&, const char* last, Run<ExtractArgs>);
void define_polar(py::module_&, const char* last, Run<PolarArgs>, Run<PolarAdjointArgs>);
// On devices, two more arguments may be named: `slots`, the place of each image in a store, or -1 for the
// next of `images`, and `store`, its number.
void define_expectation(py::module_&, const char* last, Run<ExpectationArgs>);

inline bool product_of_2_3_5(int n) {
    for (int p : {2, 3, 5})
        while (n % p == 0) n /= p;
    return n == 1;
}

inline void check_psi(int psi) {
    if (psi < 10 || psi % 2 || !product_of_2_3_5(psi))
        throw py::value_error("psi is " + std::to_string(psi) +
                              ", expected an even 2^a 3^b 5^c of at least 10");
}

}  // namespace boxwood
