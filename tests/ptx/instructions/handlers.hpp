// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "../kernel.hpp"

// What an instruction does: its handler, with what that wants set in `to`. `types` are the statement's types in their
// order. Null: the instruction is not of this kind, or not known.
namespace ptx {

struct wanted {
    const statement& s;
    const std::vector<std::string>& types;

    [[nodiscard]] const std::string& opcode() const { return s.opcode; }
    [[nodiscard]] std::string type() const { return types.empty() ? "" : types.back(); }
    [[nodiscard]] int bits() const { return bits_of_type(type()); }
    [[nodiscard]] bool flushes() const { return s.has("ftz"); }
};

handler find_handler(const wanted& what, instruction& to); // of any kind

handler find_integer(const wanted& what);
handler find_bits(const wanted& what, instruction& to);
handler find_floating_point(const wanted& what);
handler find_approximate(const wanted& what);
handler find_conversion(const wanted& what, instruction& to);
handler find_comparison(const wanted& what, instruction& to);
handler find_move(const wanted& what);
handler find_memory_access(const wanted& what);
handler find_atomic(const wanted& what, instruction& to);
handler find_async_copy(const wanted& what);
handler find_within_warp(const wanted& what, instruction& to);
handler find_matrix(const wanted& what, instruction& to);

} // namespace ptx
