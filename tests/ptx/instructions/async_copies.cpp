// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "async_copies.hpp"

#include <string>

#include "addresses.hpp"
#include "handlers.hpp"

// cp.async: bytes arrive at once, or when they are waited for.
namespace ptx {
namespace {

void land(warp& w, const async_copy& copy) {
    if (copy.landed) {
        return;
    }
    char* const to = w.block->shared + copy.to;
    std::memset(to, 0, copy.bytes);
    if (copy.from != nullptr) {
        std::memcpy(to, copy.from, copy.from_bytes);
    }
}

bool lands_early(warp& w, std::uint64_t to, std::uint64_t bytes) {
    const settings& how = w.block->launch->how;
    if (how.in_order || how.arrival != arrival::random) {
        return !how.in_order && how.arrival == arrival::early;
    }
    const auto chance = w.block->random() % 3;
    if (chance == 1) { // nothing sensible until then
        std::memset(w.block->shared + to, 0xff, bytes);
    }
    return chance == 0;
}

// s: to, from, bytes that are read; mode: bytes that are written; target: the offset of from.
void copy_async(warp& w, const instruction& i) {
    std::uint64_t to[lanes];
    addresses_of(w, i, i.s[0], to);
    const std::uint32_t bytes = i.mode;
    for_lanes(w.mask, [&](int l) {
        const std::uint64_t from = w.longs(i.s[1])[l] + static_cast<std::uint64_t>(i.target);
        const std::uint64_t at = to[l] - shared_window < window_size ? to[l] - shared_window : to[l];
        if (at % bytes != 0 || from % bytes != 0) {
            w.fail(fault_kind::misaligned, i, l,
                   "misaligned: a copy of " + std::to_string(bytes) + " bytes from " + hexadecimal(from) + " to " +
                       hexadecimal(at));
        }
        (void)shared_pointer(w, i, l, at, bytes);
        const std::uint32_t read = w.words(i.s[2])[l];
        if (read > bytes) {
            w.fail(fault_kind::illegal, i, l, "a copy of " + std::to_string(read) + " bytes");
        }
        const char* const source = read > 0 ? global_pointer(w, i, l, from, read) : nullptr;
        if (w.block->watch.is_on()) {
            w.block->watch.see(w, i, l, at, bytes, access_kind::copy);
        }
        async_copy copy{false, l, w.committed[l], static_cast<std::uint32_t>(at), source, read, bytes};
        if (lands_early(w, at, bytes)) {
            land(w, copy);
            copy.landed = true;
        }
        w.copies.push_back(copy);
        ++(read > 0 ? w.block->counted.copies : w.block->counted.empty_copies);
    });
}

// Of the lanes of the mask: all copies, or those of all committed groups but the latest few.
void land_if(warp& w, bool all, std::uint32_t groups_kept) {
    std::erase_if(w.copies, [&](const async_copy& copy) {
        const bool waits = (w.mask >> copy.lane & 1) != 0;
        if (!waits || !(all || copy.group + groups_kept < w.committed[copy.lane])) {
            return false;
        }
        land(w, copy);
        if (w.block->watch.is_on()) {
            w.block->watch.landed(w, copy.to, copy.bytes);
        }
        return true;
    });
}
void commit_group(warp& w, const instruction& /*i*/) {
    for_lanes(w.mask, [&](int l) { ++w.committed[l]; });
}
void wait_group(warp& w, const instruction& i) {
    land_if(w, false, static_cast<std::uint32_t>(i.offset));
}
void wait_all(warp& w, const instruction& /*i*/) {
    land_if(w, true, 0);
}

} // namespace

void land_all(warp& w) {
    for (const async_copy& copy : w.copies) {
        land(w, copy);
    }
    w.copies.clear();
}

handler find_async_copy(const wanted& what) {
    const statement& s = what.s;
    if (what.opcode() != "cp" || s.has("bulk") || s.has("mbarrier")) {
        return nullptr;
    }
    return s.has("commit_group") ? commit_group
           : s.has("wait_group") ? wait_group
           : s.has("wait_all")   ? wait_all
           : s.has("async")      ? copy_async
                                 : nullptr;
}

} // namespace ptx
