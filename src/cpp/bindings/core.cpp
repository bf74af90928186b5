// Table of contents of the compiled module.
#include "bindings/define.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace boxwood {
void bind_fft(py::module_&);
void bind_product(py::module_&);
void bind_fourier_crop(py::module_&);
void bind_steerable(py::module_&);

// The kernel of the table in use, on so many threads.
template <class Args, void (*KernelTable::*kernel)(const Args&)>
void on_threads(Args& a, int threads) {
    a.threads = threads;
    (kernels().*kernel)(a);
}
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
    define_ctf(m, "threads", on_threads<CtfArgs, &KernelTable::ctf>);
    define_log_pick(m, "threads", on_threads<LogPickArgs, &KernelTable::log_pick_maps>,
                    [](LogPeaksArgs& a, int) { log_pick_peaks(a); });
    define_extract(m, "threads", on_threads<ExtractArgs, &KernelTable::extract>);
    define_polar(m, "threads", on_threads<PolarArgs, &KernelTable::polar_transform>,
                 on_threads<PolarAdjointArgs, &KernelTable::polar_adjoint>);
    define_expectation(m, "threads", [](ExpectationArgs& a, int threads) {
        if (a.precision == precision_tf32 || a.slots)
            throw std::invalid_argument("neither TF32 nor stores of images exist on a processor");
        on_threads<ExpectationArgs, &KernelTable::expectation>(a, threads);
    });
    bind_fft(m);
    bind_product(m);
    bind_fourier_crop(m);
    bind_steerable(m);
}
