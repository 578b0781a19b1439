// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "source_line.hpp"

#include <cstdint>
#include <cstdio>
#include <sstream>

#include <link.h>

namespace emulator {
namespace {

// Where the program was loaded, less where it was linked to be.
std::uintptr_t displacement() {
    std::uintptr_t result = 0;
    const auto first_is_the_program = [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<std::uintptr_t*>(to) = info->dlpi_addr;
        return 1;
    };
    (void)dl_iterate_phdr(first_is_the_program, &result);
    return result;
}

std::string output_of(const std::string& command) {
    std::string result;
    if (FILE* const pipe = popen(command.c_str(), "r")) {
        char line[1024];
        while (std::fgets(line, sizeof line, pipe) != nullptr) {
            result += line;
        }
        (void)pclose(pipe);
    }
    return result;
}

} // namespace

std::string source_line(const void* code) {
    std::ostringstream address;
    address << std::hex << "0x" << reinterpret_cast<std::uintptr_t>(code) - 1 - displacement();
    std::istringstream lines(output_of("addr2line -i -e /proc/$PPID/exe " + address.str() + " 2>/dev/null"));
    // From the innermost of inlined functions outwards, past the emulated headers.
    for (std::string line; std::getline(lines, line);) {
        if (line.find("/emulator/include/") == std::string::npos && line.find("?") == std::string::npos) {
            return " at " + line.substr(0, line.find(" (discriminator"));
        }
    }
    return " at " + address.str();
}

} // namespace emulator
