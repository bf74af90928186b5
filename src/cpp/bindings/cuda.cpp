// Table of contents of the compiled CUDA module.
#include <cuda_runtime.h>

#include "bindings/arrays.h"
#include "cuda/kernels.h"

#ifndef BOXWOOD_CUDA_MODULE
#define BOXWOOD_CUDA_MODULE _cuda
#endif

namespace boxwood {

static Array<float> bound_ctf(Array<double> rows, Array<float> frequencies, int mode, int device) {
    check_shape("rows", rows, {-1, ctf_columns});
    check_shape("frequencies", frequencies, {-1, 2});
    cuda::CtfArgs a{};
    a.n = (int)rows.shape(0);
    a.m = (int)frequencies.shape(0);
    Array<float> out({a.n, a.m});
    a.rows = rows.data();
    a.frequencies = frequencies.data();
    a.mode = mode;
    a.device = device;
    a.out = out.mutable_data();
    py::gil_scoped_release release;
    cuda::ctf(a);
    return out;
}

// Names of the devices that can be used; throws with the driver's reason if there is none.
static std::vector<std::string> device_names() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, i) == cudaSuccess) names.push_back(properties.name);
    }
    return names;
}

}  // namespace boxwood

PYBIND11_MODULE(BOXWOOD_CUDA_MODULE, m) {
    using namespace boxwood;
    m.doc() = "CUDA kernels of boxwood; use them through boxwood.backends.";
    m.attr("__version__") = BOXWOOD_VERSION;
    m.attr("cuda_version") = CUDART_VERSION;
    m.def("device_names", [] { return py::cast(device_names()); });
    m.def("ctf", &bound_ctf, py::arg("rows"), py::arg("frequencies"), py::arg("mode"), py::arg("device"));
}
