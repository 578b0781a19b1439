// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "addresses.hpp"
#include "handlers.hpp"

// ld and st of count elements of `bytes` each.
namespace ptx {
namespace {

template <class T>
T read(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
std::uint64_t read_element(const char* from, int bytes, bool is_signed) {
    switch (bytes) {
    case 1:
        return is_signed ? static_cast<std::uint64_t>(read<std::int8_t>(from)) : read<std::uint8_t>(from);
    case 2:
        return is_signed ? static_cast<std::uint64_t>(read<std::int16_t>(from)) : read<std::uint16_t>(from);
    case 4:
        return is_signed ? static_cast<std::uint64_t>(read<std::int32_t>(from)) : read<std::uint32_t>(from);
    default:
        return read<std::uint64_t>(from);
    }
}

// mode: the bits of the registers, 16, 32 or 64.
void load(warp& w, const instruction& i) {
    std::uint64_t addresses[lanes];
    char* from[lanes];
    addresses_of(w, i, i.s[0], addresses);
    pointers_of(w, i, addresses, std::uint64_t{i.bytes} * i.count, i.count > 1 ? purpose::read_some : purpose::read,
                from);
    for (int e = 0; e < i.count; ++e) {
        if (i.d[e] == no_result) {
            continue;
        }
        const int offset = e * i.bytes;
        if (i.mode == 64) {
            alignas(64) std::uint64_t values[lanes];
            for_lanes(w.mask, [&](int l) { values[l] = read_element(from[l] + offset, i.bytes, i.is_signed); });
            put(w, i.d[e], values, w.mask);
            continue;
        }
        alignas(64) std::uint32_t values[lanes];
        if (i.bytes == 4) {
            for_lanes(w.mask, [&](int l) { values[l] = read<std::uint32_t>(from[l] + offset); });
        } else {
            const std::uint32_t ones = i.mode == 16 ? 0xffffU : everyone;
            for_lanes(w.mask, [&](int l) {
                values[l] = static_cast<std::uint32_t>(read_element(from[l] + offset, i.bytes, i.is_signed)) & ones;
            });
        }
        put(w, i.d[e], values, w.mask);
    }
}

// wide[e]: whether the register s[1 + e] has 64 bits.
void store(warp& w, const instruction& i) {
    std::uint64_t addresses[lanes];
    char* to[lanes];
    addresses_of(w, i, i.s[0], addresses);
    pointers_of(w, i, addresses, std::uint64_t{i.bytes} * i.count, purpose::write, to);
    for (int e = 0; e < i.count; ++e) {
        const int offset = e * i.bytes;
        if (i.bytes == 4 && i.wide[e] == 0) {
            const std::uint32_t* const words = w.words(i.s[1 + e]);
            for_lanes(w.mask, [&](int l) { std::memcpy(to[l] + offset, &words[l], 4); });
        } else {
            for_lanes(w.mask, [&](int l) {
                const std::uint64_t value = i.wide[e] != 0 ? w.longs(i.s[1 + e])[l] : w.words(i.s[1 + e])[l];
                std::memcpy(to[l] + offset, &value, i.bytes); // of which the lower bytes come first
            });
        }
    }
}

} // namespace

handler find_memory_access(const wanted& what) {
    const std::string& o = what.opcode();
    if (what.s.has("async") || what.s.has("bulk") || what.bits() > 64) {
        return nullptr;
    }
    return o == "ld" || o == "ldu" ? load : o == "st" ? store : nullptr;
}

} // namespace ptx
