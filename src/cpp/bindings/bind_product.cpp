#include <complex>

#include "bindings/define.h"
#include "cpu/kernels.h"

namespace boxwood {
namespace {

typedef Array<std::complex<float>> ComplexArray;

py::tuple product_speed(ComplexArray references, Array<int> ring_harmonics, int psi, int vectors, bool bf16,
                        int repeats) {
    check_shape("references", references, {-1, -1});
    check_shape("ring_harmonics", ring_harmonics, {-1});
    check_psi(psi);
    ProductArgs a{};
    a.k = (int)references.shape(0);
    a.coefficients = (int)references.shape(1);
    a.rings = (int)ring_harmonics.shape(0);
    a.psi = psi;
    a.vectors = vectors;
    a.repeats = repeats;
    a.ring_harmonics = ring_harmonics.data();
    a.references = reinterpret_cast<const float*>(references.data());
    a.bf16 = bf16;
    long coefficients = 0;
    for (int r = 0; r < a.rings; ++r) {
        if (ring_harmonics.at(r) < 4)
            throw py::value_error("ring " + std::to_string(r) + " has " +
                                  std::to_string(ring_harmonics.at(r)) + " harmonics, expected at least 4");
        coefficients += ring_harmonics.at(r) + 1;
    }
    if (coefficients != a.coefficients)
        throw py::value_error("references have " + std::to_string(a.coefficients) +
                              " coefficients, the rings have " + std::to_string(coefficients));
    double product = 0, peak = 0;
    a.product = &product;
    a.peak = &peak;
    {
        py::gil_scoped_release release;
        kernels().product_speed(a);
    }
    return py::make_tuple(product, peak);
}

}  // namespace

void bind_product(py::module_& m) {
    m.def("product_speed", &product_speed, py::arg("references"), py::arg("ring_harmonics"), py::arg("psi"),
          py::arg("vectors"), py::arg("bf16"), py::arg("repeats"),
          "Gflop/s of the matrix product of the expectation, and of multiply-adds in registers.");
}

}  // namespace boxwood
