// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <bit>

#include "../warp.hpp"
#include "handlers.hpp"

namespace ptx {
namespace {

void do_nothing(warp& /*w*/, const instruction& /*i*/) {}

void trap(warp& w, const instruction& i) {
    w.fail(fault_kind::illegal, i, std::countr_zero(w.mask), "a trap");
}

// Fences: the machine's threads see each other's writes at once.
handler find_rest(const wanted& what) {
    static constexpr std::string_view without_effect[] = {"membar", "fence", "prefetch", "nanosleep", "discard"};
    if (std::find(std::begin(without_effect), std::end(without_effect), what.opcode()) != std::end(without_effect)) {
        return do_nothing;
    }
    return what.opcode() == "trap" || what.opcode() == "brkpt" ? trap : nullptr;
}

} // namespace

handler find_handler(const wanted& what, instruction& to) {
    // nvcc asks for roundings in other directions, and for saturation, in conversions alone.
    const bool is_directed = what.s.has("rz") || what.s.has("rm") || what.s.has("rp") || what.s.has("sat");
    if (is_directed && what.opcode() != "cvt") {
        return nullptr;
    }
    handler found = find_integer(what);
    const auto otherwise = [&](handler next) { found = found != nullptr ? found : next; };
    otherwise(find_bits(what, to));
    otherwise(find_floating_point(what));
    otherwise(find_approximate(what));
    otherwise(find_conversion(what, to));
    otherwise(find_comparison(what, to));
    otherwise(find_move(what));
    otherwise(find_memory_access(what));
    otherwise(find_atomic(what, to));
    otherwise(find_async_copy(what));
    otherwise(find_within_warp(what, to));
    otherwise(find_matrix(what, to));
    otherwise(find_rest(what));
    return found;
}

} // namespace ptx
