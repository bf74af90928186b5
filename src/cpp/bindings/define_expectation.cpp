#include <complex>
#include <vector>

#include "bindings/define.h"

namespace boxwood {
namespace {

typedef Array<std::complex<float>> ComplexArray;

Precision precision_called(const std::string& name) {
    if (name == "float32") return precision_float32;
    if (name == "tf32") return precision_tf32;
    if (name == "bf16") return precision_bf16;
    throw py::value_error("precision is " + name + ", expected float32, tf32 or bf16");
}

const float* floats(const ComplexArray& a) { return reinterpret_cast<const float*>(a.data()); }

py::dict expectation(ComplexArray images, Array<float> ctf, Array<int> group, Array<float> weights,
                     Array<float> scale, Array<int> ring_samples, Array<int> ring_harmonics,
                     ComplexArray references, ComplexArray power, ComplexArray phases,
                     Array<float> log_prior_offset, Array<float> log_prior_class, py::object log_prior_psi,
                     ComplexArray coarse_phases, Array<int> parent, Array<float> coarse_log_prior_offset,
                     int psi, bool hard, float cut, float fraction, int top, const std::string& precision,
                     int where, const py::kwargs& stored, const Run<ExpectationArgs>& run) {
    ExpectationArgs a{};
    check_shape("images", images, {-1, -1});
    if (stored.size()) check_shape("group", group, {-1});
    check_shape("references", references, {-1, -1});
    check_shape("phases", phases, {-1, -1});
    check_shape("coarse_phases", coarse_phases, {-1, -1});
    check_shape("ring_samples", ring_samples, {-1});
    a.n = (int)(stored.size() ? group.shape(0) : images.shape(0));
    a.stride = (int)images.shape(1);
    a.k = (int)references.shape(0);
    a.coefficients = (int)references.shape(1);
    a.t = (int)phases.shape(0);
    a.samples = (int)phases.shape(1);
    a.rings = (int)ring_samples.shape(0);
    a.psi = psi;
    a.coarse_t = (int)coarse_phases.shape(0);
    a.coarse_samples = (int)coarse_phases.shape(1);
    a.top = top;
    a.precision = precision_called(precision);
    Array<int> slots;
    int sent = a.n;
    if (stored.size()) {
        if (stored.size() != 2 || !stored.contains("slots") || !stored.contains("store"))
            throw py::type_error("expected slots and store besides the other arguments, or neither");
        slots = stored["slots"].cast<Array<int>>();
        check_shape("slots", slots, {a.n});
        for (int i = 0; i < a.n; ++i) sent -= slots.at(i) >= 0;
        a.slots = slots.data();
        a.store = stored["store"].cast<int>();
    }
    check_shape("images", images, {sent, a.stride});
    check_shape("ctf", ctf, {sent, a.stride});
    check_shape("group", group, {a.n});
    check_shape("weights", weights, {-1, a.rings});
    check_shape("scale", scale, {a.n, 2});
    check_shape("ring_harmonics", ring_harmonics, {a.rings});
    check_shape("power", power, {a.k, a.rings, 3});
    check_shape("log_prior_offset", log_prior_offset, {a.n, a.t});
    check_shape("log_prior_class", log_prior_class, {a.k});
    check_shape("coarse_log_prior_offset", coarse_log_prior_offset, {a.n, a.coarse_t});
    check_shape("parent", parent, {a.coarse_t ? a.t : 0});
    if (top < 0) throw py::value_error("top is " + std::to_string(top) + ", expected 0 or more");
    if (!(fraction > 0 && fraction <= 1))
        throw py::value_error("fraction is " + std::to_string(fraction) +
                              ", expected more than 0 and at most 1");
    check_psi(psi);
    Array<float> psi_prior;
    if (!log_prior_psi.is_none()) {
        psi_prior = Array<float>::ensure(log_prior_psi);
        check_shape("log_prior_psi", psi_prior, {psi});
        a.log_prior_psi = psi_prior.data();
    }
    long samples = 0, coefficients = 0;
    for (int r = 0; r < a.rings; ++r) {
        const int n = ring_samples.at(r), m = ring_harmonics.at(r);
        if (n % 4 || m >= n / 2 || m < 4 || (r && m < ring_harmonics.at(r - 1)))
            throw py::value_error("ring " + std::to_string(r) + " has " + std::to_string(n) +
                                  " samples and " + std::to_string(m) +
                                  " harmonics, expected a multiple of 4, at least 4 harmonics, fewer "
                                  "than half of it and no fewer than on the ring before");
        samples += n / 2;
        if (samples == a.coarse_samples) a.coarse_rings = r + 1;
        coefficients += m + 1;
    }
    if (samples != a.samples || a.samples > a.stride)
        throw py::value_error("phases have " + std::to_string(a.samples) + " samples, the rings have " +
                              std::to_string(samples) + ", the images " + std::to_string(a.stride));
    if (a.coarse_t && a.coarse_rings == 0)
        throw py::value_error("coarse_phases have " + std::to_string(a.coarse_samples) +
                              " samples, which is no whole number of rings");
    std::vector<int> children(a.coarse_t);
    for (int i = 0; i < parent.size(); ++i) {
        if (parent.at(i) < 0 || parent.at(i) >= a.coarse_t)
            throw py::value_error("parent of offset " + std::to_string(i) + " is outside coarse_phases");
        ++children[parent.at(i)];
    }
    for (int i = 0; i < a.coarse_t; ++i)
        if (children[i] == 0)
            throw py::value_error("coarse offset " + std::to_string(i) +
                                  " is the parent of none, expected every one to have some");
    if (coefficients != a.coefficients)
        throw py::value_error("references have " + std::to_string(a.coefficients) +
                              " coefficients, the rings have " + std::to_string(coefficients));
    for (int i = 0; i < a.n; ++i)
        if (group.at(i) < 0 || group.at(i) >= weights.shape(0))
            throw py::value_error("group of image " + std::to_string(i) + " is outside weights");
    Array<int> best({a.n, 3}), top_samples({a.n, top, 3});
    Array<float> top_weights({a.n, top}), statistics({a.n, 4}), class_posterior({a.n, a.k}),
        offset_posterior({a.n, a.t}), cross({a.n, a.rings}), model({a.n, a.rings});
    Array<std::complex<double>> numerator({a.k, a.coefficients}), denominator({a.k, a.rings, 3});
    std::fill_n(numerator.mutable_data(), numerator.size(), 0.0);
    std::fill_n(denominator.mutable_data(), denominator.size(), 0.0);
    a.ring_samples = ring_samples.data();
    a.ring_harmonics = ring_harmonics.data();
    a.images = floats(images);
    a.ctf = ctf.data();
    a.group = group.data();
    a.weights = weights.data();
    a.scale = scale.data();
    a.references = floats(references);
    a.power = floats(power);
    a.phases = floats(phases);
    a.log_prior_offset = log_prior_offset.data();
    a.log_prior_class = log_prior_class.data();
    a.coarse_phases = floats(coarse_phases);
    a.parent = parent.data();
    a.coarse_log_prior_offset = coarse_log_prior_offset.data();
    a.hard = hard;
    a.cut = cut;
    a.fraction = fraction;
    a.top_samples = top_samples.mutable_data();
    a.top_weights = top_weights.mutable_data();
    a.best = best.mutable_data();
    a.statistics = statistics.mutable_data();
    a.class_posterior = class_posterior.mutable_data();
    a.offset_posterior = offset_posterior.mutable_data();
    a.cross = cross.mutable_data();
    a.model = model.mutable_data();
    a.numerator = reinterpret_cast<double*>(numerator.mutable_data());
    a.denominator = reinterpret_cast<double*>(denominator.mutable_data());
    {
        py::gil_scoped_release release;
        run(a, where);
    }
    py::dict out;
    out["best"] = best;
    out["top_samples"] = top_samples;
    out["top_weights"] = top_weights;
    out["statistics"] = statistics;
    out["class_posterior"] = class_posterior;
    out["offset_posterior"] = offset_posterior;
    out["cross"] = cross;
    out["model"] = model;
    out["numerator"] = numerator;
    out["denominator"] = denominator;
    return out;
}

}  // namespace

void define_expectation(py::module_& m, const char* last, Run<ExpectationArgs> run) {
    m.def(
        "expectation",
        [run](ComplexArray images, Array<float> ctf, Array<int> group, Array<float> weights,
              Array<float> scale, Array<int> ring_samples, Array<int> ring_harmonics, ComplexArray references,
              ComplexArray power, ComplexArray phases, Array<float> log_prior_offset,
              Array<float> log_prior_class, py::object log_prior_psi, ComplexArray coarse_phases,
              Array<int> parent, Array<float> coarse_log_prior_offset, int psi, bool hard, float cut,
              float fraction, int top, const std::string& precision, int where, const py::kwargs& stored) {
            return expectation(images, ctf, group, weights, scale, ring_samples, ring_harmonics, references,
                               power, phases, log_prior_offset, log_prior_class, log_prior_psi, coarse_phases,
                               parent, coarse_log_prior_offset, psi, hard, cut, fraction, top, precision,
                               where, stored, run);
        },
        py::arg("images"), py::arg("ctf"), py::arg("group"), py::arg("weights"), py::arg("scale"),
        py::arg("ring_samples"), py::arg("ring_harmonics"), py::arg("references"), py::arg("power"),
        py::arg("phases"), py::arg("log_prior_offset"), py::arg("log_prior_class"), py::arg("log_prior_psi"),
        py::arg("coarse_phases"), py::arg("parent"), py::arg("coarse_log_prior_offset"), py::arg("psi"),
        py::arg("hard"), py::arg("cut"), py::arg("fraction"), py::arg("top"), py::arg("precision"),
        py::arg(last));
}

}  // namespace boxwood
