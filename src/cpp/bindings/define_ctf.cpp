#include "bindings/define.h"

namespace boxwood {

void define_ctf(py::module_& m, const char* last, Run<CtfArgs> run) {
    m.def(
        "ctf",
        [run](Array<double> rows, Array<float> frequencies, int mode, int where) {
            check_shape("rows", rows, {-1, ctf_columns});
            check_shape("frequencies", frequencies, {-1, 2});
            CtfArgs a{};
            a.n = (int)rows.shape(0);
            a.m = (int)frequencies.shape(0);
            Array<float> out({a.n, a.m});
            a.rows = rows.data();
            a.frequencies = frequencies.data();
            a.mode = mode;
            a.out = out.mutable_data();
            py::gil_scoped_release release;
            run(a, where);
            return out;
        },
        py::arg("rows"), py::arg("frequencies"), py::arg("mode"), py::arg(last));
}

}  // namespace boxwood
