// Table of contents of the compiled module.
#include <pybind11/pybind11.h>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace py = pybind11;

namespace boxwood {
void bind_ctf(py::module_&);
void bind_fft(py::module_&);
void bind_log_pick(py::module_&);
void bind_polar(py::module_&);
void bind_expectation(py::module_&);
void bind_extract(py::module_&);
}  // namespace boxwood

PYBIND11_MODULE(_core, m) {
    using namespace boxwood;
    m.doc() = "Compiled kernels of boxwood; use them through boxwood.backends.";
    m.attr("__version__") = BOXWOOD_VERSION;
    m.def("simd", [] { return kernels().name; }, "Instruction set in use.");
    m.def("lanes", [] { return kernels().lanes; }, "Floats in one vector of the instruction set in use.");
    m.def("native_bf16", [] { return kernels().bf16; }, "Whether that has instructions for bfloat16.");
    m.def(
        "use_simd", [](const char* name) { return use_kernels(name); },
        "Use the kernels of this instruction set; False if it was not compiled or does not run here.");
    m.def("compiled_simd", &compiled_simd);
    m.def("runnable_simd", &runnable_simd);
    m.def("available_threads", &available_threads, "Processors this process may use.");
    m.def("request_stop", &request_stop, py::arg("stop"),
          "Ask kernels under way and to come to end with KeyboardInterrupt; False takes that back.");
    py::register_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Stopped&) {
            PyErr_SetNone(PyExc_KeyboardInterrupt);
        }
    });
    bind_ctf(m);
    bind_fft(m);
    bind_log_pick(m);
    bind_polar(m);
    bind_expectation(m);
    bind_extract(m);
}
