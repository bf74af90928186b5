#include "bindings/arrays.h"
#include "cpu/kernels.h"

namespace boxwood {

void bind_ctf(py::module_& m) {
    m.def(
        "ctf",
        [](Array<double> rows, Array<float> frequencies, int mode, int threads) {
            check_shape("rows", rows, {-1, ctf_columns});
            check_shape("frequencies", frequencies, {-1, 2});
            CtfArgs a{};
            a.n = (int)rows.shape(0);
            a.m = (int)frequencies.shape(0);
            Array<float> out({a.n, a.m});
            a.rows = rows.data();
            a.frequencies = frequencies.data();
            a.mode = mode;
            a.threads = threads;
            a.out = out.mutable_data();
            py::gil_scoped_release release;
            kernels().ctf(a);
            return out;
        },
        py::arg("rows"), py::arg("frequencies"), py::arg("mode"), py::arg("threads"));
}

}  // namespace boxwood
