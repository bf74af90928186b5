// The module in one piece: what pybind11's headers cost is paid once.
#include "bindings/cuda.cpp"
#include "bindings/define_ctf.cpp"
#include "bindings/define_expectation.cpp"
#include "bindings/define_extract.cpp"
#include "bindings/define_log_pick.cpp"
#include "bindings/define_polar.cpp"
