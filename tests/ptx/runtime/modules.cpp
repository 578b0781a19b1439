// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "modules.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <cuda_runtime_api.h>

#include "../device_memory.hpp"
#include "../state.hpp"
#include "errors.hpp"

// What programs register before main: the PTX in their fat binaries, and names of kernels.
namespace ptx {

struct loaded_module {
    std::string text;
    parsed_module parsed;
    symbol_table globals;
    bool is_parsed = false;
};

namespace {

struct registry {
    std::mutex mutex;
    std::vector<std::unique_ptr<loaded_module>> modules;
    std::unordered_map<const void*, std::unique_ptr<registered_kernel>> kernels;
};
registry& registered() {
    static auto* const all = new registry; // never destroyed: streams outlive main
    return *all;
}

std::uint64_t number_at(const unsigned char* from, std::size_t bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, from, bytes);
    return value;
}

// The PTX in a fat binary: a header, then entries with headers of their own. Empty: there is none.
std::string ptx_of(const void* fat_binary) {
    struct wrapper {
        int magic, version;
        const unsigned char* data;
    };
    constexpr std::uint64_t magic = 0xba55ed50;
    constexpr std::uint64_t kind_of_ptx = 1;
    const unsigned char* const data = static_cast<const wrapper*>(fat_binary)->data;
    if (number_at(data, 4) != magic) {
        give_up("not a fat binary");
    }
    const unsigned char* at = data + number_at(data + 6, 2);
    const unsigned char* const end = at + number_at(data + 8, 8);
    while (at < end) {
        const std::uint64_t header_bytes = number_at(at + 4, 4);
        const std::uint64_t bytes = number_at(at + 8, 8);
        if (number_at(at, 2) == kind_of_ptx) {
            const std::string text(reinterpret_cast<const char*>(at + header_bytes), bytes);
            if (text.find(".version") == std::string::npos) {
                give_up("the program's PTX is compressed: compile it with --no-compress");
            }
            return text.substr(0, text.find('\0'));
        }
        at += header_bytes + bytes;
    }
    return "";
}

// Parses a module, and puts its variables in device memory.
void parse_module(loaded_module& m) {
    if (m.is_parsed) {
        return;
    }
    m.parsed = parse(m.text);
    m.is_parsed = true;
    for (const variable& v : m.parsed.variables) {
        if (v.space == "global" || v.space == "const") {
            if (!v.addresses.empty()) {
                give_up("the variable " + v.name + " holds addresses");
            }
            void* const memory = device_memory::get().allocate(std::max<std::uint64_t>(v.bytes, 1));
            char* const bytes = device_memory::get().reach(memory, v.bytes);
            std::memset(bytes, 0, v.bytes);
            std::copy(v.contents.begin(), v.contents.end(), bytes);
            m.globals[v.name] = reinterpret_cast<std::uint64_t>(memory);
        }
    }
}

} // namespace

registered_kernel* find_kernel(const void* host_function) {
    const std::lock_guard lock(registered().mutex);
    const auto found = registered().kernels.find(host_function);
    return found != registered().kernels.end() ? found->second.get() : nullptr;
}

const lowered_kernel& loaded(registered_kernel& kernel) {
    const std::lock_guard lock(registered().mutex);
    const bool contracts = current_settings().contract;
    std::unique_ptr<lowered_kernel>& wanted = contracts ? kernel.contracted : kernel.plain;
    if (wanted != nullptr) {
        return *wanted;
    }
    const std::string name = demangled(kernel.name);
    try {
        parse_module(*kernel.module);
        for (const function& f : kernel.module->parsed.functions) {
            if (f.name == kernel.name && f.has_body) {
                wanted = lower(kernel.module->parsed, f, kernel.module->globals, contracts);
            }
        }
    } catch (const std::exception& error) {
        give_up(name + ": " + error.what());
    }
    if (wanted == nullptr) {
        give_up("the program has no PTX of " + name);
    }
    wanted->name = name;
    counters found;
    found.fused = wanted->fused;
    count(found);
    return *wanted;
}

int compiled_for(const registered_kernel& kernel) {
    const std::lock_guard lock(registered().mutex);
    parse_module(*kernel.module);
    return kernel.module->parsed.target;
}

} // namespace ptx

extern "C" {

void** __cudaRegisterFatBinary(void* fat_binary) {
    const std::lock_guard lock(ptx::registered().mutex);
    auto made = std::make_unique<ptx::loaded_module>();
    made->text = ptx::ptx_of(fat_binary);
    ptx::registered().modules.push_back(std::move(made));
    return reinterpret_cast<void**>(ptx::registered().modules.back().get());
}
void __cudaRegisterFatBinaryEnd(void** /*module*/) {}
void __cudaUnregisterFatBinary(void** /*module*/) {}
char __cudaInitModule(void** /*module*/) {
    return 1;
}
void __cudaRegisterFunction(void** module, const char* host_function, char* /*device_function*/, const char* name,
                            int /*thread_limit*/, uint3* /*tid*/, uint3* /*bid*/, dim3* /*block*/, dim3* /*grid*/,
                            int* /*warp_size*/) {
    const std::lock_guard lock(ptx::registered().mutex);
    auto made = std::make_unique<ptx::registered_kernel>();
    made->module = reinterpret_cast<ptx::loaded_module*>(module);
    made->name = name;
    ptx::registered().kernels[host_function] = std::move(made);
}
// Of a variable: no program asks for one by its symbol.
void __cudaRegisterVar(void** /*module*/, char* /*host_variable*/, char* /*device_address*/, const char* /*name*/,
                       int /*is_extern*/, std::size_t /*bytes*/, int /*is_constant*/, int /*is_global*/) {}

} // extern "C"
