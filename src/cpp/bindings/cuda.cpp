// Table of contents of the compiled CUDA module.
#include <cuda_runtime.h>

#include <complex>

#include "bindings/define.h"
#include "cuda/error.h"
#include "cuda/kernels.h"
#include "cuda/memory.h"
#include "cuda/stages.h"

#ifndef BOXWOOD_CUDA_MODULE
#define BOXWOOD_CUDA_MODULE _cuda
#endif

namespace boxwood {

// Names of the devices by number, or why one does not say it; throws with the driver's reason if there is
// none.
static py::list device_names() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
    py::list names;
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties;
        const cudaError_t answer = cudaGetDeviceProperties(&properties, i);
        if (answer == cudaSuccess) {
            names.append(py::str(properties.name));
        } else {
            cudaGetLastError();
            names.append(py::str("unusable (" + std::string(cudaGetErrorString(answer)) + ")"));
        }
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

// A store's number, and how many images it has room for.
static py::tuple make_image_store(int most, int samples, int device) {
    int store;
    {
        py::gil_scoped_release release;
        store = cuda::make_image_store(most, samples, device);
    }
    return py::make_tuple(store, cuda::image_store_shape(store).slots);
}

static void put_images(int store, Array<int> slots, Array<std::complex<float>> transforms, Array<float> ctf) {
    const cuda::StoreShape shape = cuda::image_store_shape(store);
    check_shape("slots", slots, {-1});
    const long n = slots.shape(0);
    check_shape("transforms", transforms, {n, shape.samples});
    check_shape("ctf", ctf, {n, shape.samples});
    for (long i = 0; i < n; ++i)
        if (slots.at(i) < 0 || slots.at(i) >= shape.slots)
            throw py::value_error("slot " + std::to_string(slots.at(i)) + " is outside a store of " +
                                  std::to_string(shape.slots));
    py::gil_scoped_release release;
    cuda::put_images(store, slots.data(), (int)n, (const float*)transforms.data(), ctf.data());
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
    const auto error = py::register_exception<cuda::CudaError>(m, "CudaError", PyExc_RuntimeError);
    py::register_exception<cuda::OutOfMemory>(m, "OutOfMemory", error);
    py::register_exception<cuda::StoreReleased>(m, "StoreReleased", error);
    m.def("device_names", &device_names);
    m.def("time_stages", &cuda::time_stages, py::arg("on"), "Whether every stage is timed by events.");
    m.def("stage_times", &stage_times,
          "Seconds and number of each stage since time_stages or the last call.");
    m.def("ceilings", &ceilings, py::arg("device"), py::arg("bytes"), py::arg("n"),
          "Bytes and operations a second of copies of so many bytes and products of n x n matrices.");
    m.def("keep_memory", &cuda::keep_memory, py::arg("keep"), "Whether memory is kept from call to call.");
    m.def("make_image_store", &make_image_store, py::arg("most"), py::arg("samples"), py::arg("device"),
          "The number of a new store of polar images, and how many it has room for.");
    m.def("put_images", &put_images, py::arg("store"), py::arg("slots"), py::arg("transforms"),
          py::arg("ctf"));
    m.def("release_image_store", &cuda::release_image_store, py::arg("store"),
          py::call_guard<py::gil_scoped_release>());
    define_ctf(m, "device", cuda::ctf);
    define_polar(m, "device", cuda::polar_transform, cuda::polar_adjoint);
    define_expectation(m, "device", cuda::expectation);
    define_log_pick(m, "device", cuda::log_pick_maps, cuda::log_pick_peaks);
    define_extract(m, "device", cuda::extract);
}
