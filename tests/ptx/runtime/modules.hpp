// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <string>

#include "../kernel.hpp"

namespace ptx {

struct loaded_module;

// A kernel of the program, which is lowered when it is first needed.
struct registered_kernel {
    loaded_module* module = nullptr;
    std::string name;
    std::unique_ptr<lowered_kernel> plain, contracted; // null: not yet needed
    std::size_t dynamic_shared_limit = 48 << 10;
};

// By the host's function that stands for it; null: there is none.
registered_kernel* find_kernel(const void* host_function);
// As the settings in force want it.
const lowered_kernel& loaded(registered_kernel& kernel);
// The virtual architecture that it was compiled for: 80.
int compiled_for(const registered_kernel& kernel);

} // namespace ptx
