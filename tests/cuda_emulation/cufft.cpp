// A stand-in for cuFFT: unnormalised transforms of one to three dimensions in double precision, with cuFFT's
// data layouts. Like cuFFT's, a transform to real values of more than one dimension destroys its input.
#include <cufft.h>

#include <complex>
#include <map>
#include <vector>

#include "emulation.h"

using namespace cuda_emulation;

namespace {

typedef std::complex<double> Complex;

struct Layout {
    std::vector<int> embed;
    int stride = 1, distance = 0;
    // Where the element with these coordinates lies, in elements.
    size_t at(const std::vector<int>& place, int batch) const {
        size_t flat = 0;
        for (size_t i = 0; i < place.size(); ++i) flat = flat * embed[i] + place[i];
        return (size_t)batch * distance + flat * stride;
    }
};

struct Plan {
    cudaStream_t stream = nullptr;
    bool automatic = true;
    void* area = nullptr;
    size_t area_bytes = 0;
    int device = 0, batch = 0;
    cufftType type = CUFFT_C2C;
    std::vector<int> n;
    Layout in, out;
    bool complete() const { return !n.empty(); }
    std::vector<int> shape(bool real_side) const {
        std::vector<int> s = n;
        if (type != CUFFT_C2C && !real_side) s.back() = s.back() / 2 + 1;
        return s;
    }
};

std::map<cufftHandle, Plan> plans;
int next_handle = 1;

// One transform of length n by its smallest prime factor, with roots[j] = exp(sign 2 pi i j / (n spread)) of
// a longer one.
void transform(const Complex* x, int n, int step, const std::vector<Complex>& roots, int spread, Complex* out,
               Complex* work) {
    if (n == 1) {
        out[0] = x[0];
        return;
    }
    int p = 2;
    while (n % p) ++p;
    const int m = n / p;
    for (int i = 0; i < p; ++i)
        transform(x + (size_t)i * step, m, step * p, roots, spread * p, work + (size_t)i * m,
                  out + (size_t)i * m);
    for (int k = 0; k < n; ++k) {
        double re = 0, im = 0;
        for (int i = 0, turn = 0; i < p; ++i, turn = turn + k < n ? turn + k : turn + k - n) {
            const Complex a = work[(size_t)i * m + k % m], b = roots[(size_t)turn * spread];
            re += a.real() * b.real() - a.imag() * b.imag();
            im += a.real() * b.imag() + a.imag() * b.real();
        }
        out[k] = Complex(re, im);
    }
}

// All places of a shape, one after the other; false after the last.
bool next_place(std::vector<int>& place, const std::vector<int>& shape) {
    for (size_t i = shape.size(); i-- > 0;) {
        if (++place[i] < shape[i]) return true;
        place[i] = 0;
    }
    return false;
}

size_t flat(const std::vector<int>& place, const std::vector<int>& n) {
    size_t f = 0;
    for (size_t i = 0; i < n.size(); ++i) f = f * n[i] + place[i];
    return f;
}

void transform_all(std::vector<Complex>& cube, const std::vector<int>& n, int sign) {
    size_t step = 1;
    for (size_t axis = n.size(); axis-- > 0; step *= n[axis]) {
        const int length = n[axis];
        std::vector<Complex> line(length), out(length), work(length), roots(length);
        for (int j = 0; j < length; ++j) roots[j] = std::polar(1.0, sign * 2 * M_PI * j / length);
        for (size_t i = 0; i < cube.size(); ++i) {
            if (i / step % length) continue;
            for (int j = 0; j < length; ++j) line[j] = cube[i + j * step];
            transform(line.data(), length, 1, roots, 1, out.data(), work.data());
            for (int j = 0; j < length; ++j) cube[i + j * step] = out[j];
        }
    }
}

std::vector<Complex> gather(const Plan& p, const void* in, int batch) {
    size_t elements = 1;
    for (int length : p.n) elements *= length;
    std::vector<Complex> cube(elements);
    const std::vector<int> shape = p.shape(p.type == CUFFT_R2C);
    std::vector<int> place(p.n.size(), 0);
    do {
        const size_t at = p.in.at(place, batch);
        if (p.type == CUFFT_R2C) {
            cube[flat(place, p.n)] = ((const float*)in)[at];
            continue;
        }
        const std::complex<float> value = ((const std::complex<float>*)in)[at];
        cube[flat(place, p.n)] = value;
        if (p.type == CUFFT_C2C || place.back() == 0 || 2 * place.back() == p.n.back()) continue;
        std::vector<int> mirror(place);
        for (size_t i = 0; i < mirror.size(); ++i) mirror[i] = (p.n[i] - place[i]) % p.n[i];
        cube[flat(mirror, p.n)] = std::conj(value);
    } while (next_place(place, shape));
    return cube;
}

cudaError_t run(const Plan& p, void* in, void* out, int sign) {
    if (p.area_bytes) memset(p.area, unwritten, p.area_bytes);
    // In place, all input is read before any output is written.
    std::vector<std::vector<Complex>> cubes;
    for (int b = 0; b < p.batch; ++b) cubes.push_back(gather(p, in, b));
    if (p.type == CUFFT_C2R && p.n.size() > 1 && in != out)
        for (int b = 0; b < p.batch; ++b) {
            std::vector<int> place(p.n.size(), 0);
            do memset((std::complex<float>*)in + p.in.at(place, b), unwritten, sizeof(std::complex<float>));
            while (next_place(place, p.shape(false)));
        }
    const std::vector<int> shape = p.shape(p.type == CUFFT_C2R);
    for (int b = 0; b < p.batch; ++b) {
        transform_all(cubes[b], p.n, sign);
        std::vector<int> place(p.n.size(), 0);
        do {
            const Complex value = cubes[b][flat(place, p.n)];
            if (p.type == CUFFT_C2R)
                ((float*)out)[p.out.at(place, b)] = (float)value.real();
            else
                ((std::complex<float>*)out)[p.out.at(place, b)] = std::complex<float>(value);
        } while (next_place(place, shape));
    }
    return cudaSuccess;
}

bool inside(const Plan& p, const Layout& layout, const std::vector<int>& shape, const void* data,
            size_t element) {
    std::vector<int> last(shape);
    for (int& i : last) --i;
    return allocated(data, (layout.at(last, p.batch - 1) + 1) * element, p.device);
}

cufftResult execute_plan(cufftHandle handle, cufftType type, void* in, void* out, int sign) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    const auto found = plans.find(handle);
    if (found == plans.end() || !found->second.complete()) return CUFFT_INVALID_PLAN;
    const Plan p = found->second;
    if (p.type != type || (sign != CUFFT_FORWARD && sign != CUFFT_INVERSE)) return CUFFT_INVALID_TYPE;
    const size_t in_element = type == CUFFT_R2C ? 4 : 8, out_element = type == CUFFT_C2R ? 4 : 8;
    if (!inside(p, p.in, p.shape(type == CUFFT_R2C), in, in_element) ||
        !inside(p, p.out, p.shape(type == CUFFT_C2R), out, out_element) || (p.area_bytes && !p.area))
        return CUFFT_INVALID_VALUE;
    const cudaError_t status = submit(p.stream, [=] { return run(p, in, out, sign); });
    return status || cudaGetLastError() ? CUFFT_EXEC_FAILED : CUFFT_SUCCESS;
}

Layout layout_of(const std::vector<int>& shape, const int* embed, int stride, int distance) {
    Layout l;
    size_t elements = 1;
    for (int length : shape) elements *= length;
    l.embed = embed ? std::vector<int>(embed, embed + shape.size()) : shape;
    l.stride = embed ? stride : 1;  // without embedding cuFFT ignores both
    l.distance = embed ? distance : (int)elements;
    return l;
}

}  // namespace

extern "C" {

cufftResult cufftCreate(cufftHandle* handle) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    *handle = next_handle++;
    plans[*handle].device = current_device();
    return CUFFT_SUCCESS;
}

cufftResult cufftDestroy(cufftHandle handle) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    const auto found = plans.find(handle);
    if (found == plans.end()) return CUFFT_INVALID_PLAN;
    cudaStreamSynchronize(found->second.stream);
    if (found->second.automatic && found->second.area) cudaFree(found->second.area);
    plans.erase(found);
    return CUFFT_SUCCESS;
}

cufftResult cufftSetStream(cufftHandle handle, cudaStream_t stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!plans.count(handle)) return CUFFT_INVALID_PLAN;
    plans[handle].stream = stream;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetAutoAllocation(cufftHandle handle, int automatic) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!plans.count(handle)) return CUFFT_INVALID_PLAN;
    plans[handle].automatic = automatic != 0;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetWorkArea(cufftHandle handle, void* area) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!plans.count(handle)) return CUFFT_INVALID_PLAN;
    if (!allocated(area, plans[handle].area_bytes, plans[handle].device)) return CUFFT_INVALID_VALUE;
    plans[handle].area = area;
    return CUFFT_SUCCESS;
}

// The work area is as large as the output, about what cuFFT asks for.
cufftResult cufftMakePlanMany(cufftHandle handle, int rank, int* n, int* in_embed, int in_stride,
                              int in_distance, int* out_embed, int out_stride, int out_distance,
                              cufftType type, int batch, size_t* work_bytes) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (!plans.count(handle) || plans[handle].complete()) return CUFFT_INVALID_PLAN;
    if (rank < 1 || rank > 3 || batch < 1) return CUFFT_INVALID_VALUE;
    if (type != CUFFT_C2C && type != CUFFT_R2C && type != CUFFT_C2R) return CUFFT_INVALID_TYPE;
    Plan p = plans[handle];
    p.type = type;
    p.batch = batch;
    p.n.assign(n, n + rank);
    p.in = layout_of(p.shape(type == CUFFT_R2C), in_embed, in_stride, in_distance);
    p.out = layout_of(p.shape(type == CUFFT_C2R), out_embed, out_stride, out_distance);
    p.area_bytes = sizeof(cufftComplex) * batch;
    for (int length : p.n) p.area_bytes *= length;
    if (library_fails())
        return settings.failure_status ? (cufftResult)settings.failure_status : CUFFT_ALLOC_FAILED;
    if (p.automatic && cudaMalloc(&p.area, p.area_bytes)) return CUFFT_ALLOC_FAILED;
    if (work_bytes) *work_bytes = p.area_bytes;
    plans[handle] = p;
    return CUFFT_SUCCESS;
}

cufftResult cufftExecC2C(cufftHandle plan, cufftComplex* in, cufftComplex* out, int direction) {
    return execute_plan(plan, CUFFT_C2C, in, out, direction);
}
cufftResult cufftExecR2C(cufftHandle plan, cufftReal* in, cufftComplex* out) {
    return execute_plan(plan, CUFFT_R2C, in, out, CUFFT_FORWARD);
}
cufftResult cufftExecC2R(cufftHandle plan, cufftComplex* in, cufftReal* out) {
    return execute_plan(plan, CUFFT_C2R, in, out, CUFFT_INVERSE);
}

}  // extern "C"
