#include <tuple>

#include "bindings/arrays.h"
#include "cpu/kernels.h"

namespace boxwood {

static Array<float> crop(Array<float> image, std::tuple<int, int> shape, float offset, int threads) {
    check_shape("image", image, {-1, -1});
    FourierCropArgs a{};
    a.ny = (int)image.shape(0);
    a.nx = (int)image.shape(1);
    std::tie(a.my, a.mx) = shape;
    if (a.my < 2 || a.mx < 2 || a.my % 2 || a.mx % 2 || a.my > a.ny || a.mx > a.nx)
        throw py::value_error("shape is (" + std::to_string(a.my) + ", " + std::to_string(a.mx) +
                              "), expected even numbers from 2 to those of " + shape_text(image));
    a.threads = threads;
    a.image = image.data();
    a.offset = offset;
    Array<float> out({a.my, a.mx});
    a.out = out.mutable_data();
    py::gil_scoped_release release;
    kernels().fourier_crop(a);
    return out;
}

void bind_fourier_crop(py::module_& m) {
    m.def("fourier_crop", &crop, py::arg("image"), py::arg("shape"), py::arg("offset"), py::arg("threads"));
}

}  // namespace boxwood
