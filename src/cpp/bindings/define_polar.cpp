#include <complex>

#include "bindings/define.h"

namespace boxwood {
namespace {

typedef Array<std::complex<float>> ComplexArray;

// Samples elsewhere would be interpolated from memory that is not there.
void check_positions(const Array<float>& positions, int box) {
    check_shape("positions", positions, {-1, 2});
    const float* p = positions.data();
    const float half = 0.5f * box;
    for (py::ssize_t i = 0; i < positions.shape(0); ++i, p += 2)
        if (!(p[0] >= -half && p[0] <= half && p[1] >= 0 && p[1] <= half))
            throw py::value_error("position (" + std::to_string(p[0]) + ", " + std::to_string(p[1]) +
                                  ") lies outside the half plane of a box of " + std::to_string(box));
}

py::tuple transform(Array<float> images, py::object shifts, Array<float> mask, Array<float> positions,
                    int where, const Run<PolarArgs>& run) {
    check_shape("images", images, {-1, -1, -1});
    const int box = (int)images.shape(1);
    check_shape("images", images, {-1, box, box});
    check_shape("mask", mask, {box, box});
    check_positions(positions, box);
    PolarArgs a{};
    a.n = (int)images.shape(0);
    a.box = box;
    a.samples = (int)positions.shape(0);
    Array<int> shift_array;
    if (!shifts.is_none()) {
        shift_array = Array<int>::ensure(shifts);
        check_shape("shifts", shift_array, {a.n, 2});
        a.shifts = shift_array.data();
    }
    ComplexArray out({a.n, a.samples});
    Array<float> power(a.n);
    a.images = images.data();
    a.mask = mask.data();
    a.positions = positions.data();
    a.out = reinterpret_cast<float*>(out.mutable_data());
    a.power = power.mutable_data();
    {
        py::gil_scoped_release release;
        run(a, where);
    }
    return py::make_tuple(out, power);
}

Array<float> adjoint(ComplexArray samples, Array<float> positions, int box, int where,
                     const Run<PolarAdjointArgs>& run) {
    check_positions(positions, box);
    check_shape("samples", samples, {-1, (long)positions.shape(0)});
    PolarAdjointArgs a{};
    a.n = (int)samples.shape(0);
    a.box = box;
    a.samples = (int)positions.shape(0);
    Array<float> out({a.n, box, box});
    a.samples_in = reinterpret_cast<const float*>(samples.data());
    a.positions = positions.data();
    a.out = out.mutable_data();
    py::gil_scoped_release release;
    run(a, where);
    return out;
}

}  // namespace

void define_polar(py::module_& m, const char* last, Run<PolarArgs> forward, Run<PolarAdjointArgs> backward) {
    m.def(
        "polar_transform",
        [forward](Array<float> images, py::object shifts, Array<float> mask, Array<float> positions,
                  int where) { return transform(images, shifts, mask, positions, where, forward); },
        py::arg("images"), py::arg("shifts"), py::arg("mask"), py::arg("positions"), py::arg(last));
    m.def(
        "polar_adjoint",
        [backward](ComplexArray samples, Array<float> positions, int box, int where) {
            return adjoint(samples, positions, box, where, backward);
        },
        py::arg("samples"), py::arg("positions"), py::arg("box"), py::arg(last));
}

}  // namespace boxwood
