// Table of contents of the compiled CUDA module.
#include <cuda_runtime.h>

#include "bindings/define.h"
#include "cuda/error.h"
#include "cuda/kernels.h"
#include "cuda/memory.h"

#ifndef BOXWOOD_CUDA_MODULE
#define BOXWOOD_CUDA_MODULE _cuda
#endif

namespace boxwood {

// Names of the devices that can be used; throws with the driver's reason if there is none.
static py::list device_names() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
    py::list names;
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, i) == cudaSuccess) names.append(py::str(properties.name));
    }
    return names;
}

}  // namespace boxwood

PYBIND11_MODULE(BOXWOOD_CUDA_MODULE, m) {
    using namespace boxwood;
    m.doc() = "CUDA kernels of boxwood; use them through boxwood.backends.";
    m.attr("__version__") = BOXWOOD_VERSION;
    m.attr("cuda_version") = CUDART_VERSION;
    py::register_exception<cuda::CudaError>(m, "CudaError", PyExc_RuntimeError);
    m.def("device_names", &device_names);
    m.def("keep_memory", &cuda::keep_memory, py::arg("keep"), "Whether memory is kept from call to call.");
    define_ctf(m, "device", cuda::ctf);
    define_polar(m, "device", cuda::polar_transform, cuda::polar_adjoint);
    define_expectation(m, "device", cuda::expectation);
    define_log_pick(m, "device", cuda::log_pick_maps, cuda::log_pick_peaks);
    define_extract(m, "device", cuda::extract);
}
