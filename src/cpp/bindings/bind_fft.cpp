#include <complex>

#include "bindings/arrays.h"
#include "cpu/kernels.h"

namespace boxwood {

template <class T>
static Array<std::complex<T>> transform(Array<std::complex<T>> in, int sign, int threads,
                                        const T* FftArgs::* source, T* FftArgs::* target) {
    check_shape("in", in, {-1, -1});
    if (in.shape(1) < 1) throw py::value_error("in has no columns, expected at least one");
    if (sign != 1 && sign != -1)
        throw py::value_error("sign is " + std::to_string(sign) + ", expected 1 or -1");
    FftArgs a{};
    a.count = (int)in.shape(0);
    a.n = (int)in.shape(1);
    a.sign = sign;
    a.threads = threads;
    Array<std::complex<T>> out({a.count, a.n});
    a.*source = reinterpret_cast<const T*>(in.data());
    a.*target = reinterpret_cast<T*>(out.mutable_data());
    py::gil_scoped_release release;
    kernels().fft(a);
    return out;
}

void bind_fft(py::module_& m) {
    m.def(
        "fft",
        [](Array<std::complex<float>> in, int sign, int threads) {
            return transform<float>(in, sign, threads, &FftArgs::in_float, &FftArgs::out_float);
        },
        py::arg("in").noconvert(), py::arg("sign"), py::arg("threads") = 1);
    m.def(
        "fft",
        [](Array<std::complex<double>> in, int sign, int threads) {
            return transform<double>(in, sign, threads, &FftArgs::in_double, &FftArgs::out_double);
        },
        py::arg("in").noconvert(), py::arg("sign"), py::arg("threads") = 1);
}

}  // namespace boxwood
