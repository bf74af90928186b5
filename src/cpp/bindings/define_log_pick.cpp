#include <algorithm>
#include <tuple>
#include <vector>

#include "bindings/define.h"

namespace boxwood {
namespace {

py::tuple log_maps(Array<float> micrograph, Array<float> outside, int work_size, Array<double> variances,
                   double outlier_sigma, double sign, int where, const Run<LogPickArgs>& run) {
    check_shape("micrograph", micrograph, {-1, -1});
    LogPickArgs a{};
    a.ny = (int)micrograph.shape(0);
    a.nx = (int)micrograph.shape(1);
    if (a.ny < 1 || a.nx < 1)
        throw py::value_error("micrograph has shape " + shape_text(micrograph) +
                              ", expected at least one pixel");
    const long n = std::max(a.ny, a.nx);
    check_shape("outside", outside, {n * n - (long)a.ny * a.nx});
    check_shape("variances", variances, {-1});
    a.filters = (int)variances.shape(0);
    if (a.filters < 1 || a.filters > 255)
        throw py::value_error("variances has " + std::to_string(a.filters) + " entries, expected 1 to 255");
    if (work_size < 2 || work_size % 2 || work_size > 46340)
        throw py::value_error("work_size is " + std::to_string(work_size) +
                              ", expected an even number from 2 to 46340");
    a.work_size = work_size;
    a.micrograph = micrograph.data();
    a.outside = outside.data();
    a.variances = variances.data();
    a.outlier_sigma = outlier_sigma;
    a.sign = sign;
    Array<float> best({work_size, work_size});
    Array<uint8_t> index({work_size, work_size});
    double mean = 0, sigma = 0;
    a.best = best.mutable_data();
    a.index = index.mutable_data();
    a.mean = &mean;
    a.sigma = &sigma;
    {
        py::gil_scoped_release release;
        run(a, where);
    }
    return py::make_tuple(best, index, mean, sigma);
}

py::tuple log_peaks(Array<float> best, Array<uint8_t> index, Array<uint8_t> allowed, Array<int64_t> radius2,
                    std::tuple<int, int, int, int> border, double adjust, double upper, int where,
                    const Run<LogPeaksArgs>& run) {
    check_shape("best", best, {-1, -1});
    LogPeaksArgs a{};
    a.work_size = (int)best.shape(0);
    check_shape("best", best, {a.work_size, a.work_size});
    check_shape("index", index, {a.work_size, a.work_size});
    check_shape("allowed", allowed, {-1});
    a.filters = (int)allowed.shape(0);
    check_shape("radius2", radius2, {a.filters});
    for (py::ssize_t i = 0; i < index.size(); ++i)
        if (index.data()[i] >= a.filters)
            throw py::value_error("index names filter " + std::to_string(index.data()[i]) + ", there are " +
                                  std::to_string(a.filters));
    a.best = best.data();
    a.index = index.data();
    a.allowed = allowed.data();
    a.radius2 = radius2.data();
    std::tie(a.y_begin, a.y_end, a.x_begin, a.x_end) = border;
    a.adjust = adjust;
    a.upper = upper;
    double threshold = 0, ceiling = 0;
    int count = 0;
    std::vector<int32_t> peaks((size_t)best.size());
    a.threshold = &threshold;
    a.ceiling = &ceiling;
    a.peaks = peaks.data();
    a.count = &count;
    {
        py::gil_scoped_release release;
        run(a, where);
    }
    Array<int32_t> places({count, 2});
    for (int i = 0; i < count; ++i) {
        places.mutable_at(i, 0) = peaks[i] / a.work_size;
        places.mutable_at(i, 1) = peaks[i] % a.work_size;
    }
    return py::make_tuple(places, threshold, ceiling);
}

}  // namespace

void define_log_pick(py::module_& m, const char* last, Run<LogPickArgs> maps, Run<LogPeaksArgs> peaks) {
    m.def(
        "log_pick_maps",
        [maps](Array<float> micrograph, Array<float> outside, int work_size, Array<double> variances,
               double outlier_sigma, double sign, int where) {
            return log_maps(micrograph, outside, work_size, variances, outlier_sigma, sign, where, maps);
        },
        py::arg("micrograph"), py::arg("outside"), py::arg("work_size"), py::arg("variances"),
        py::arg("outlier_sigma"), py::arg("sign"), py::arg(last));
    m.def(
        "log_pick_peaks",
        [peaks](Array<float> best, Array<uint8_t> index, Array<uint8_t> allowed, Array<int64_t> radius2,
                std::tuple<int, int, int, int> border, double adjust, double upper, int where) {
            return log_peaks(best, index, allowed, radius2, border, adjust, upper, where, peaks);
        },
        py::arg("best"), py::arg("index"), py::arg("allowed"), py::arg("radius2"), py::arg("border"),
        py::arg("adjust"), py::arg("upper"), py::arg(last));
}

}  // namespace boxwood
