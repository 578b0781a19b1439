// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "machine.hpp"

#include <cstdlib>
#include <mutex>

#include "device_memory.hpp"
#include "state.hpp"

namespace ptx {
namespace {

int number(const char* name, int otherwise) {
    const char* const value = std::getenv(name);
    return value != nullptr ? std::atoi(value) : otherwise;
}

settings from_environment() {
    settings s;
    s.seed = static_cast<unsigned>(number("UNMASK_PTX_SEED", static_cast<int>(s.seed)));
    s.in_order = number("UNMASK_PTX_IN_ORDER", 0) != 0;
    s.contract = number("UNMASK_PTX_CONTRACT", 0) != 0;
    s.approximate = number("UNMASK_PTX_APPROXIMATE", 0) != 0;
    s.exact_products = number("UNMASK_PTX_EXACT_PRODUCTS", 0) != 0;
    s.watch = number("UNMASK_PTX_WATCH", 0) != 0;
    s.threads = number("UNMASK_PTX_THREADS", s.threads);
    s.multiprocessors = number("UNMASK_PTX_MULTIPROCESSORS", s.multiprocessors);
    s.cache_bytes = number("UNMASK_PTX_CACHE_BYTES", s.cache_bytes);
    s.shared_bytes_a_block = number("UNMASK_PTX_SHARED_BYTES", s.shared_bytes_a_block);
    s.capability = number("UNMASK_PTX_CAPABILITY", s.capability);
    s.compiled_for = number("UNMASK_PTX_COMPILED_FOR", s.compiled_for);
    s.driver = number("UNMASK_PTX_DRIVER", s.driver);
    return s;
}

settings& in_force() {
    static settings now = from_environment();
    return now;
}

struct shared_state {
    std::mutex mutex;
    counters counted;
    std::optional<fault> first;
};
shared_state& state() {
    static auto* const now = new shared_state; // never destroyed: streams outlive main
    return *now;
}

} // namespace

const settings& current_settings() {
    return in_force();
}

scoped_settings::scoped_settings(const settings& wanted) : before_(in_force()) {
    in_force() = wanted;
}
scoped_settings::~scoped_settings() {
    in_force() = before_;
}

counters& counters::operator+=(const counters& other) {
    launches += other.launches;
    blocks += other.blocks;
    barriers += other.barriers;
    multiply_adds += other.multiply_adds;
    matrix_loads += other.matrix_loads;
    copies += other.copies;
    empty_copies += other.empty_copies;
    fused += other.fused;
    return *this;
}

counters counts() {
    const std::lock_guard lock(state().mutex);
    return state().counted;
}
void reset_counts() {
    const std::lock_guard lock(state().mutex);
    state().counted = {};
}
void count(const counters& more) {
    const std::lock_guard lock(state().mutex);
    state().counted += more;
}

bool keep_fault(const fault& found) {
    const std::lock_guard lock(state().mutex);
    const bool is_first = !state().first.has_value();
    if (is_first) {
        state().first = found;
    }
    return is_first;
}
std::optional<fault_kind> pending_fault() {
    const std::lock_guard lock(state().mutex);
    return state().first ? std::optional(state().first->kind()) : std::nullopt;
}
std::optional<fault> take_fault() {
    const std::lock_guard lock(state().mutex);
    std::optional<fault> found = std::move(state().first);
    state().first.reset();
    return found;
}

int live_allocations() {
    return device_memory::get().live_allocations();
}

} // namespace ptx
