// How long each kind of work takes on the devices: every launch, library call and copy is between two events,
// if asked for.
#pragma once
#include <cuda_runtime.h>

#include <map>
#include <string>

namespace boxwood {
namespace cuda {

struct StageTime {
    double seconds = 0;
    long count = 0;
};

// Whether times are taken; what was taken before is forgotten.
void time_stages(bool on);
// Waits for all of them.
std::map<std::string, StageTime> stage_times();

// From here to the end of its scope, as part of the stream.
class Stage {
public:
    Stage(const char* name, cudaStream_t stream);
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

private:
    const char* name_;
    cudaStream_t stream_;
    cudaEvent_t begin_ = nullptr;
};

}  // namespace cuda
}  // namespace boxwood
