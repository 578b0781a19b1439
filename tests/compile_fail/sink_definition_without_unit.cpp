// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: sink_definition
// expected-error: definition.unit

#include <cstdint>
#include <span>
#include <vector>

#include <unmask/analysis/sink_movement.hpp>

struct first_key {
    void operator()(std::span<const double>, std::span<std::uint8_t> is_sink) const { is_sink[0] = 1; }
};

double misuse(const std::vector<unmask::sink_record>& steps) {
    return unmask::movement_of(steps, 0, 0, first_key{}).change_rate;
}
