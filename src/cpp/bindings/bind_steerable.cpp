#include <tuple>

#include "bindings/arrays.h"
#include "cpu/kernels.h"

namespace boxwood {

static py::tuple responses(Array<float> image, std::tuple<int, int> padded, Array<float> tables,
                           Array<int> orders, Array<float> weights, int threads) {
    check_shape("image", image, {-1, -1});
    check_shape("tables", tables, {-1, -1});
    SteerableArgs a{};
    a.ny = (int)image.shape(0);
    a.nx = (int)image.shape(1);
    std::tie(a.py, a.px) = padded;
    if (a.ny < 1 || a.nx < 1 || a.py < a.ny || a.px < a.nx || a.py % 2 || a.px % 2)
        throw py::value_error("padded is (" + std::to_string(a.py) + ", " + std::to_string(a.px) +
                              "), expected even numbers of at least those of " + shape_text(image));
    a.filters = (int)tables.shape(0);
    a.samples = (int)tables.shape(1);
    if (a.samples < 2)
        throw py::value_error("tables has shape " + shape_text(tables) + ", expected (any, 2 or more)");
    check_shape("orders", orders, {a.filters});
    check_shape("weights", weights, {a.filters});
    int flat = 0;
    for (int i = 0; i < a.filters; ++i) {
        if (orders.data()[i] < 0) throw py::value_error("orders has a negative entry");
        flat += orders.data()[i] == 0;
    }
    a.threads = threads;
    a.image = image.data();
    a.tables = tables.data();
    a.orders = orders.data();
    a.weights = weights.data();
    Array<float> linear({flat, a.ny, a.nx});
    Array<float> power({a.ny, a.nx});
    a.linear = linear.mutable_data();
    a.power = power.mutable_data();
    {
        py::gil_scoped_release release;
        kernels().steerable(a);
    }
    return py::make_tuple(linear, power);
}

void bind_steerable(py::module_& m) {
    m.def("steerable", &responses, py::arg("image"), py::arg("padded"), py::arg("tables"), py::arg("orders"),
          py::arg("weights"), py::arg("threads"));
}

}  // namespace boxwood
