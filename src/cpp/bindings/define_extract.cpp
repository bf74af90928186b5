#include "bindings/define.h"

namespace boxwood {
namespace {

void check_even(const char* name, int size, int largest) {
    if (size < 4 || size % 2 || size > largest)
        throw py::value_error(std::string(name) + " is " + std::to_string(size) +
                              ", expected an even number from 4 to " + std::to_string(largest));
}

template <class T>
Array<T> optional(const char* name, const py::object& given) {
    if (given.is_none()) return Array<T>();
    const Array<T> array = Array<T>::ensure(given);
    if (!array) throw py::type_error(std::string(name) + " is not an array of numbers");
    return array;
}

// Boxes without a single pixel of the micrograph have no edge to replicate.
void check_inside(const ExtractArgs& a) {
    const int half = a.box / 2;
    for (int i = 0; i < a.n; ++i) {
        const long x = a.centres[2 * i], y = a.centres[2 * i + 1];
        if (x + half <= 0 || y + half <= 0 || x - half >= a.nx || y - half >= a.ny)
            throw py::value_error("box " + std::to_string(i) + " at (" + std::to_string(x) + ", " +
                                  std::to_string(y) + ") lies outside the micrograph");
    }
}

py::tuple extract(Array<float> micrograph, Array<int> centres, py::object shifts, py::object filters,
                  float fill, int box, int scaled, int window, float background_radius, bool ramp,
                  float white_dust, float black_dust, bool invert, uint64_t seed, int where,
                  const Run<ExtractArgs>& run) {
    const int largest = 1 << 14;
    check_shape("micrograph", micrograph, {-1, -1});
    check_shape("centres", centres, {-1, 2});
    check_even("box", box, largest);
    check_even("scaled", scaled, largest);
    check_even("window", window, scaled);
    ExtractArgs a{};
    a.n = (int)centres.shape(0);
    a.ny = (int)micrograph.shape(0);
    a.nx = (int)micrograph.shape(1);
    a.micrograph = micrograph.data();
    a.centres = centres.data();
    const Array<float> shift_array = optional<float>("shifts", shifts);
    const Array<float> filter_array = optional<float>("filters", filters);
    if (!shifts.is_none()) {
        check_shape("shifts", shift_array, {a.n, 2});
        a.shifts = shift_array.data();
    }
    if (!filters.is_none()) {
        check_shape("filters", filter_array, {-1, -1, -1});
        a.filter_count = (int)filter_array.shape(0);
        a.filter_box = (int)filter_array.shape(1);
        check_even("the filters' box", a.filter_box, largest);
        const int count = a.filter_count == 1 ? 1 : a.n;
        check_shape("filters", filter_array, {count, a.filter_box, a.filter_box / 2 + 1});
        if (a.filter_box < box) throw py::value_error("the filters' box is smaller than the particles' box");
        a.filters = filter_array.data();
    }
    a.fill = fill;
    a.box = box;
    a.scaled = scaled;
    a.window = window;
    a.background_radius = background_radius;
    a.ramp = ramp;
    a.white_dust = white_dust;
    a.black_dust = black_dust;
    a.invert = invert;
    a.seed = seed;
    check_inside(a);
    Array<float> out({a.n, window, window});
    Array<int> faults(a.n);
    a.out = out.mutable_data();
    a.faults = faults.mutable_data();
    {
        py::gil_scoped_release release;
        run(a, where);
    }
    return py::make_tuple(out, faults);
}

}  // namespace

void define_extract(py::module_& m, const char* last, Run<ExtractArgs> run) {
    m.def(
        "extract",
        [run](Array<float> micrograph, Array<int> centres, py::object shifts, py::object filters, float fill,
              int box, int scaled, int window, float background_radius, bool ramp, float white_dust,
              float black_dust, bool invert, uint64_t seed, int where) {
            return extract(micrograph, centres, shifts, filters, fill, box, scaled, window, background_radius,
                           ramp, white_dust, black_dust, invert, seed, where, run);
        },
        py::arg("micrograph"), py::arg("centres"), py::arg("shifts"), py::arg("filters"), py::arg("fill"),
        py::arg("box"), py::arg("scaled"), py::arg("window"), py::arg("background_radius"), py::arg("ramp"),
        py::arg("white_dust"), py::arg("black_dust"), py::arg("invert"), py::arg("seed"), py::arg(last));
}

}  // namespace boxwood
