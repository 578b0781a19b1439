// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A mask that is first seen when the program runs, as text, is compiled into the forward kernel by NVRTC. Needs no GPU.

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <nvrtc.h>

namespace {

const std::string source = R"(
#include <unmask/cuda/attention/forward_kernel.cuh>
#include <unmask/sink/no_sink.hpp>
#include <unmask/tensor/float_types.hpp>

using namespace unmask;

struct even_keys {
    constexpr bool visible(index_t, index_t k) const { return k % 2 == 0; }
    constexpr tile_class classify(index_t, index_t, index_t, index_t) const { return tile_class::partial; }
    constexpr auto key_ranges(index_t, index_t, index_t keys) const { return ranges<1>({0, keys}); }
    constexpr auto query_ranges(index_t, index_t, index_t queries) const { return ranges<1>({0, queries}); }
};
)";
const std::string kernel = "detail::cuda::forward_kernel<detail::cuda::wide_plan<64>, bfloat16, even_keys, no_sink>";

// NVRTC has no standard library. libcu++ stands in for what the headers ask of it.
constexpr std::array standard_headers{"array", "concepts", "cstddef", "cstdint", "limits", "type_traits", "utility"};

std::string forwarded(const std::string& header) {
    return "#pragma once\n#include <cuda/std/" + header + ">\nnamespace std { using namespace cuda::std; }\n";
}

void expect_success(nvrtcResult result) {
    if (result != NVRTC_SUCCESS) {
        throw std::runtime_error(nvrtcGetErrorString(result));
    }
}

struct compiled {
    std::string kernel; // its name in the PTX
    std::string ptx;
};

compiled compile(const std::vector<const char*>& options) {
    std::vector<std::string> texts;
    for (const char* header : standard_headers) {
        texts.push_back(forwarded(header));
    }
    std::vector<const char*> headers;
    for (const std::string& text : texts) {
        headers.push_back(text.c_str());
    }
    nvrtcProgram program = nullptr;
    expect_success(nvrtcCreateProgram(&program, source.c_str(), "mask.cu", static_cast<int>(headers.size()),
                                      headers.data(), standard_headers.data()));
    expect_success(nvrtcAddNameExpression(program, kernel.c_str()));
    const nvrtcResult result = nvrtcCompileProgram(program, static_cast<int>(options.size()), options.data());

    std::size_t size = 0;
    expect_success(nvrtcGetProgramLogSize(program, &size));
    std::string log(size, '\0');
    expect_success(nvrtcGetProgramLog(program, log.data()));
    std::printf("%s\n", log.c_str());
    expect_success(result);

    const char* name = nullptr;
    expect_success(nvrtcGetLoweredName(program, kernel.c_str(), &name));
    expect_success(nvrtcGetPTXSize(program, &size));
    compiled done{name, std::string(size, '\0')};
    expect_success(nvrtcGetPTX(program, done.ptx.data()));
    expect_success(nvrtcDestroyProgram(&program));
    return done;
}

bool expect(bool condition, const char* what) {
    if (!condition) {
        std::fprintf(stderr, "failed: %s\n", what);
    }
    return condition;
}

} // namespace

// The arguments are options of NVRTC: where the headers are.
int main(int argc, char** argv) {
    std::vector<const char*> options(argv + 1, argv + argc);
    options.insert(options.end(),
                   {"--std=c++20", "--gpu-architecture=compute_80", "--device-as-default-execution-space"});
    try {
        const auto [name, ptx] = compile(options);
        const bool good = expect(ptx.find(".entry " + name) != std::string::npos, "the kernel is in the PTX");
        return expect(ptx.find("mma.sync") != std::string::npos, "it uses tensor cores") && good ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "failed: %s\n", error.what());
        return 1;
    }
}
