// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "errors.hpp"

#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>

#include "../state.hpp"

namespace ptx {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t code_of(fault_kind kind) {
    switch (kind) {
    case fault_kind::address:
        return cudaErrorIllegalAddress;
    case fault_kind::misaligned:
        return cudaErrorMisalignedAddress;
    case fault_kind::stuck:
        return cudaErrorLaunchTimeout;
    default:
        return cudaErrorLaunchFailure;
    }
}

} // namespace

cudaError_t failed(cudaError_t code) {
    if (code != cudaSuccess && code != cudaErrorNotReady) {
        last_error = code;
    }
    return code;
}

cudaError_t state_of_device() {
    const std::optional<fault_kind> pending = pending_fault();
    return pending ? code_of(*pending) : cudaSuccess;
}

void report(const fault& found) {
    if (keep_fault(found)) {
        std::fprintf(stderr, "PTX machine: fault: %s\n", found.what());
    }
}

void give_up(const std::string& what) {
    std::fprintf(stderr, "PTX machine: %s\n", what.c_str());
    std::abort();
}

std::string demangled(const std::string& name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                           &std::free);
    return status == 0 ? text.get() : name;
}

} // namespace ptx

extern "C" {

cudaError_t cudaPeekAtLastError() {
    const cudaError_t state = ptx::state_of_device();
    return state != cudaSuccess ? state : ptx::last_error;
}
cudaError_t cudaGetLastError() {
    const cudaError_t code = cudaPeekAtLastError();
    ptx::last_error = cudaSuccess;
    return code;
}

const char* cudaGetErrorString(cudaError_t code) {
    switch (code) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorInvalidConfiguration:
        return "invalid configuration argument";
    case cudaErrorIllegalAddress:
        return "an illegal memory access was encountered";
    case cudaErrorMisalignedAddress:
        return "misaligned address";
    case cudaErrorLaunchFailure:
        return "unspecified launch failure";
    case cudaErrorLaunchTimeout:
        return "the launch timed out and was terminated";
    case cudaErrorLaunchOutOfResources:
        return "too many resources requested for launch";
    case cudaErrorNotSupported:
        return "operation not supported";
    case cudaErrorNotReady:
        return "device not ready";
    case cudaErrorStreamCaptureInvalidated:
        return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnsupported:
        return "operation not permitted when stream is capturing";
    default:
        return "an error of which this runtime knows no text";
    }
}

} // extern "C"
