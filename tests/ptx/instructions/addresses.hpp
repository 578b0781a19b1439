// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include "../warp.hpp"

// Where the addresses of kernels lead, in the host's memory. What a kernel may not touch is a fault.
namespace ptx {

// The lanes' addresses, of a base with the instruction's offset.
void addresses_of(const warp& w, const instruction& i, register_place base, std::uint64_t (&to)[lanes]);

char* global_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes);
char* shared_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes);

enum class purpose { read, read_some, write, exchange }; // the last: atomically, and is not watched

// Where the lanes of the mask find `bytes`, which they access now.
void pointers_of(warp& w, const instruction& i, const std::uint64_t (&addresses)[lanes], std::uint64_t bytes,
                 purpose why, char* (&to)[lanes]);

} // namespace ptx
