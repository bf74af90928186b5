// Table of contents of the compiled CUDA module.
#include <cuda_runtime.h>

#include "bindings/define.h"
#include "cuda/error.h"
#include "cuda/kernels.h"
#include "cuda/memory.h"
#include "cuda/stages.h"

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

static py::dict ceilings(int device, size_t bytes, int n) {
    cuda::Ceilings c;
    {
        py::gil_scoped_release release;
        c = cuda::ceilings(device, bytes, n);
    }
    py::dict out;
    out["memory"] = c.memory;
    out["to_device"] = c.to_device;
    out["from_device"] = c.from_device;
    out["float32"] = c.float32;
    out["tf32"] = c.tf32;
    return out;
}

static py::dict stage_times() {
    py::dict out;
    for (const auto& entry : cuda::stage_times())
        out[py::str(entry.first)] = py::make_tuple(entry.second.seconds, entry.second.count);
    return out;
}

}  // namespace boxwood

PYBIND11_MODULE(BOXWOOD_CUDA_MODULE, m) {
    using namespace boxwood;
    m.doc() = "CUDA kernels of boxwood; use them through boxwood.backends.";
    m.attr("__version__") = BOXWOOD_VERSION;
    m.attr("cuda_version") = CUDART_VERSION;
    py::register_exception<cuda::CudaError>(m, "CudaError", PyExc_RuntimeError);
    m.def("device_names", &device_names);
    m.def("time_stages", &cuda::time_stages, py::arg("on"), "Whether every stage is timed by events.");
    m.def("stage_times", &stage_times,
          "Seconds and number of each stage since time_stages or the last call.");
    m.def("ceilings", &ceilings, py::arg("device"), py::arg("bytes"), py::arg("n"),
          "Bytes and operations a second of copies of so many bytes and products of n x n matrices.");
    m.def("keep_memory", &cuda::keep_memory, py::arg("keep"), "Whether memory is kept from call to call.");
    define_ctf(m, "device", cuda::ctf);
    define_polar(m, "device", cuda::polar_transform, cuda::polar_adjoint);
    define_expectation(m, "device", cuda::expectation);
    define_log_pick(m, "device", cuda::log_pick_maps, cuda::log_pick_peaks);
    define_extract(m, "device", cuda::extract);
}
