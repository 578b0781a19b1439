// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>

// What must be the same on all ranks, found out before any work.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A value of a call that all ranks must have alike.
struct agreed_value {
    const char* name; // "heads"
    index_t value;
    const char* const* words = nullptr; // for an enumeration: what the values are called
    bool is_real = false;

    agreed_value(const char* argument, index_t number, const char* const* called = nullptr)
        : name(argument), value(number), words(called) {}
    agreed_value(const char* argument, float number)
        : name(argument), value(std::bit_cast<std::int32_t>(number)), is_real(true) {}

    // That of another rank.
    [[nodiscard]] std::string text(index_t other) const {
        if (words != nullptr) {
            return words[other];
        }
        if (!is_real) {
            return std::to_string(other);
        }
        char digits[32];
        const auto bits = static_cast<std::int32_t>(other);
        std::snprintf(digits, sizeof digits, "%g", static_cast<double>(std::bit_cast<float>(bits)));
        return digits;
    }
};

// Throws communication_error on every rank, the same, if a value is not that of rank 0: "rank 2 has heads 6, rank 0 4".
// Returns what ranks need not agree on, [ranks, own.size()]. All ranks give as many values.
template <communicator C>
std::vector<index_t> check_agreement(const C& c, std::initializer_list<agreed_value> values,
                                     std::initializer_list<index_t> own = {}) {
    std::vector<index_t> mine;
    for (const agreed_value& each : values) {
        mine.push_back(each.value);
    }
    mine.insert(mine.end(), own.begin(), own.end());
    std::vector<index_t> all(mine.size() * static_cast<std::size_t>(c.size()));
    all_gather(c, std::span<const index_t>(mine), std::span(all));
    std::vector<index_t> result;
    for (int rank = 0; rank < c.size(); ++rank) {
        const index_t* const of_rank = all.data() + static_cast<std::size_t>(rank) * mine.size();
        for (std::size_t i = 0; i < values.size(); ++i) {
            const agreed_value& value = values.begin()[i];
            if (of_rank[i] != all[i]) {
                throw communication_error(rank, std::string("has ") + value.name + " " + value.text(of_rank[i]) +
                                                    ", rank 0 " + value.text(all[i]));
            }
        }
        result.insert(result.end(), of_rank + values.size(), of_rank + mine.size());
    }
    return result;
}

} // namespace detail
UNMASK_NAMESPACE_END
