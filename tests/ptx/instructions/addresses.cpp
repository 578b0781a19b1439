// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "addresses.hpp"

#include <string>

namespace ptx {
namespace {

bool is_in(std::uint64_t window, std::uint64_t address) {
    return address - window < window_size;
}

char* local_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes) {
    const std::uint64_t size = w.kernel->local_bytes;
    if (address + bytes > size) {
        w.fail(fault_kind::address, i, lane,
               "local address " + hexadecimal(address) + ", " + std::to_string(bytes) + " bytes, of " +
                   std::to_string(size));
    }
    return w.local.data() + static_cast<std::uint64_t>(lane) * size + address;
}

char* parameter_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes) {
    if (address + bytes > w.kernel->parameter_bytes) {
        w.fail(fault_kind::address, i, lane, "parameter address " + hexadecimal(address));
    }
    return const_cast<char*>(reinterpret_cast<const char*>(w.block->launch->parameters.data())) + address;
}

char* seen_shared_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes,
                          purpose why) {
    char* const result = shared_pointer(w, i, lane, address, bytes);
    if (w.block->watch.is_on() && why != purpose::exchange) {
        const auto kind = why == purpose::write  ? access_kind::write
                          : why == purpose::read ? access_kind::read
                                                 : access_kind::read_some;
        w.block->watch.see(w, i, lane, address, bytes, kind);
    }
    return result;
}

[[noreturn]] void fail_outside(const warp& w, const instruction& i, int lane, const allocation* before,
                               std::uint64_t address, std::uint64_t bytes) {
    std::string what = "global address " + hexadecimal(address) + ", " + std::to_string(bytes) + " bytes: ";
    if (before == nullptr || address > before->end + 65536) {
        what += "in no allocation";
    } else if (address < before->end && !before->live) {
        what += "in memory that was freed";
    } else {
        what += std::to_string(address + bytes - before->end) + " bytes past the end of an allocation of " +
                std::to_string(before->end - before->begin);
    }
    w.fail(fault_kind::address, i, lane, what);
}

} // namespace

void addresses_of(const warp& w, const instruction& i, register_place base, std::uint64_t (&to)[lanes]) {
    if (i.wide_address) {
        const std::uint64_t* const from = w.longs(base);
        for (int l = 0; l < lanes; ++l) {
            to[l] = from[l] + static_cast<std::uint64_t>(i.offset);
        }
    } else {
        const std::uint32_t* const from = w.words(base);
        for (int l = 0; l < lanes; ++l) {
            to[l] = from[l] + static_cast<std::uint32_t>(i.offset);
        }
    }
}

char* global_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes) {
    const allocation_table& table = *w.block->table;
    std::uint32_t& last = w.block->last_allocation[static_cast<std::size_t>(i.number)];
    const auto holds = [&](const allocation& a) { return a.live && address >= a.begin && address + bytes <= a.end; };
    if (last >= table.size() || !holds(table[last])) {
        const allocation* const found = find_allocation(table, address);
        if (found == nullptr || !holds(*found)) {
            fail_outside(w, i, lane, found, address, bytes);
        }
        last = static_cast<std::uint32_t>(found - table.data());
    }
    return reinterpret_cast<char*>(address + table[last].shift);
}

char* shared_pointer(warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes) {
    if (address + bytes > w.block->shared_bytes) {
        w.fail(fault_kind::address, i, lane,
               "shared address " + hexadecimal(address) + ", " + std::to_string(bytes) + " bytes, of " +
                   std::to_string(w.block->shared_bytes));
    }
    return w.block->shared + address;
}

void pointers_of(warp& w, const instruction& i, const std::uint64_t (&addresses)[lanes], std::uint64_t bytes,
                 purpose why, char* (&to)[lanes]) {
    std::uint64_t low_bits = 0;
    for (int l = 0; l < lanes; ++l) {
        low_bits |= (w.mask >> l & 1) != 0 ? addresses[l] : 0;
    }
    if ((low_bits & (bytes - 1)) != 0) {
        for_lanes(w.mask, [&](int l) {
            if (addresses[l] % bytes != 0) {
                w.fail(fault_kind::misaligned, i, l,
                       "misaligned: address " + hexadecimal(addresses[l]) + " for " + std::to_string(bytes) + " bytes");
            }
        });
    }
    for_lanes(w.mask, [&](int l) {
        const std::uint64_t a = addresses[l];
        switch (i.space) {
        case memory_space::global:
            to[l] = global_pointer(w, i, l, a, bytes);
            break;
        case memory_space::shared:
            to[l] = seen_shared_pointer(w, i, l, a, bytes, why);
            break;
        case memory_space::local:
            to[l] = local_pointer(w, i, l, a, bytes);
            break;
        case memory_space::param:
            to[l] = parameter_pointer(w, i, l, a, bytes);
            break;
        case memory_space::generic:
            to[l] = is_in(shared_window, a)  ? seen_shared_pointer(w, i, l, a - shared_window, bytes, why)
                    : is_in(local_window, a) ? local_pointer(w, i, l, a - local_window, bytes)
                                             : global_pointer(w, i, l, a, bytes);
            break;
        }
    });
}

} // namespace ptx
