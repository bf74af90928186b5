// NumPy arrays at the border: checks that name the argument and both shapes, and nothing else.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <string>

namespace boxwood {
namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

inline std::string shape_text(const py::array& a) {
    std::string s = "(";
    for (py::ssize_t i = 0; i < a.ndim(); ++i) s += (i ? ", " : "") + std::to_string(a.shape(i));
    return s + ")";
}

// Refuses an array whose shape is not the expected one; -1 stands for any length.
inline void check_shape(const char* name, const py::array& a, std::initializer_list<long> expected) {
    bool same = a.ndim() == (py::ssize_t)expected.size();
    std::string want = "(";
    int i = 0;
    for (long n : expected) {
        if (same && n >= 0 && a.shape(i) != n) same = false;
        want += (i++ ? ", " : "") + (n < 0 ? std::string("any") : std::to_string(n));
    }
    if (!same)
        throw py::value_error(std::string(name) + " has shape " + shape_text(a) + ", expected " + want + ")");
}

}  // namespace boxwood
