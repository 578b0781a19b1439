// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "parsed.hpp"

// A kernel in the form that the machine runs.
namespace ptx {

inline constexpr int lanes = 32;
inline constexpr std::uint32_t everyone = 0xffffffffU;

struct warp;
struct instruction;
using handler = void (*)(warp&, const instruction&);

// Where the 32 lanes of an operand are: an offset into the warp's registers or, if negative, into the kernel's
// constants. A lane has 4 bytes, or 8 of 64-bit types; what is shorter has zeros above. Of predicates: the number of a
// word of 32 bits. A result that nobody wants has no_result.
using register_place = std::int32_t;
inline constexpr register_place no_result = -1;
inline constexpr int slot_bytes = 4 * lanes;

enum class memory_space : std::uint8_t { generic, global, shared, local, param };

// How lanes go on.
enum class flow_kind : std::uint8_t {
    plain,
    branch,
    branch_index,
    exit,
    barrier,   // for the block
    warp_sync, // for the lanes that an operand names
    all_lanes, // for all that the warp has
};

// Fields are as the handler of the instruction wants them; it says so where that is not plain.
struct instruction {
    handler run = nullptr;
    handler then = nullptr; // of one that does something before
    flow_kind flow = flow_kind::plain;
    memory_space space = memory_space::global;
    bool guard_negated = false;
    bool wide_address = true; // of 64 bits
    bool negated = false;     // a predicate among the operands
    bool is_signed = false;
    bool flushes = false;              // subnormal operands
    std::uint8_t bytes = 0, count = 0; // of an element, and how many
    std::uint8_t mode = 0;
    std::uint8_t wide[4] = {}; // of memory's elements: whether a lane has 64 bits
    std::int32_t guard = -1;
    std::int32_t target = -1; // of a branch
    register_place d[4] = {no_result, no_result, no_result, no_result};
    register_place s[10] = {};
    std::int64_t offset = 0;
    std::int32_t number = -1; // of its statement
};

enum class special_register {
    tid_x,
    tid_y,
    tid_z,
    ntid_x,
    ntid_y,
    ntid_z,
    ctaid_x,
    ctaid_y,
    ctaid_z,
    nctaid_x,
    nctaid_y,
    nctaid_z,
    laneid,
    warpid,
    lanemask_eq,
    lanemask_lt,
    lanemask_le,
    lanemask_gt,
    lanemask_ge,
    dynamic_smem_size,
};

struct lowered_kernel {
    std::string name; // as people write it
    function source;
    std::vector<instruction> code; // one a statement, and the end
    std::vector<std::vector<std::int32_t>> jump_tables;
    std::vector<std::uint8_t> constants; // places below 0
    std::vector<std::pair<register_place, special_register>> specials;
    int register_bytes = 0; // of a warp
    int predicates = 0;
    std::uint64_t static_shared = 0;
    std::uint64_t local_bytes = 0; // of a thread
    std::vector<std::uint64_t> parameter_offsets, parameter_sizes;
    std::uint64_t parameter_bytes = 0;
    int max_threads = 1024;
    int fused = 0; // sums that took a product in
};

// Where variables of a module lie.
using symbol_table = std::map<std::string, std::uint64_t>;

// Throws std::runtime_error where an instruction is not known.
std::unique_ptr<lowered_kernel> lower(const parsed_module& whole, const function& kernel, const symbol_table& globals,
                                      bool contract);

} // namespace ptx
