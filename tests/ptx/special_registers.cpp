// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "special_registers.hpp"

#include <stdexcept>
#include <string>

#include "warp.hpp"

namespace ptx {

special_register special_register_of(std::string_view name) {
    static constexpr std::string_view names[] = {
        "%tid.x",       "%tid.y",       "%tid.z",       "%ntid.x",      "%ntid.y",      "%ntid.z",           "%ctaid.x",
        "%ctaid.y",     "%ctaid.z",     "%nctaid.x",    "%nctaid.y",    "%nctaid.z",    "%laneid",           "%warpid",
        "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge", "%dynamic_smem_size"};
    for (int i = 0; i < static_cast<int>(std::size(names)); ++i) {
        if (name == names[i]) {
            return static_cast<special_register>(i);
        }
    }
    throw std::runtime_error("special register " + std::string(name));
}

std::uint32_t value_of(special_register which, const warp& w, int lane) {
    const dimensions& size = w.block->launch->block;
    const dimensions& grid = w.block->launch->grid;
    const auto thread = static_cast<unsigned>(w.index * lanes + lane);
    const std::uint32_t own = 1U << lane;
    const std::uint32_t below = own - 1;
    switch (which) {
    case special_register::tid_x:
        return thread % size.x;
    case special_register::tid_y:
        return thread / size.x % size.y;
    case special_register::tid_z:
        return thread / size.x / size.y;
    case special_register::ntid_x:
        return size.x;
    case special_register::ntid_y:
        return size.y;
    case special_register::ntid_z:
        return size.z;
    case special_register::ctaid_x:
        return w.block->x;
    case special_register::ctaid_y:
        return w.block->y;
    case special_register::ctaid_z:
        return w.block->z;
    case special_register::nctaid_x:
        return grid.x;
    case special_register::nctaid_y:
        return grid.y;
    case special_register::nctaid_z:
        return grid.z;
    case special_register::laneid:
        return static_cast<std::uint32_t>(lane);
    case special_register::warpid:
        return static_cast<std::uint32_t>(w.index);
    case special_register::lanemask_eq:
        return own;
    case special_register::lanemask_lt:
        return below;
    case special_register::lanemask_le:
        return own | below;
    case special_register::lanemask_gt:
        return ~(own | below);
    case special_register::lanemask_ge:
        return ~below;
    case special_register::dynamic_smem_size:
        return static_cast<std::uint32_t>(w.block->launch->dynamic_shared);
    }
    return 0;
}

} // namespace ptx
