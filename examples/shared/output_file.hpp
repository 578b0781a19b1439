// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

namespace examples {

/// Writes a file by write(stream). Throws std::runtime_error if it can't be written.
template <class Write>
void write_file(const std::string& path, const Write& write) {
    std::ofstream file(path, std::ios::binary);
    write(file);
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

} // namespace examples
