// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block_runner.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "instructions/async_copies.hpp"
#include "special_registers.hpp"

namespace ptx {
namespace {

constexpr int unlimited = std::numeric_limits<int>::max();
constexpr std::size_t cache_line = 64;
constexpr std::size_t shared_alignment = 256;
constexpr int poison_byte = 0xff; // NaN in every floating-point type

// The first place of a multiple of `alignment` in memory that is as much larger.
char* aligned(std::vector<char>& memory, std::size_t alignment) {
    const std::size_t past = reinterpret_cast<std::uintptr_t>(memory.data()) % alignment;
    return memory.data() + (past == 0 ? 0 : alignment - past);
}

} // namespace

block_runner::block_runner(const kernel_launch& launch, const allocation_table& table)
    : launch_(launch), kernel_(*launch.kernel) {
    block_.launch = &launch;
    block_.kernel = &kernel_;
    block_.table = &table;
    block_.shared_bytes = kernel_.static_shared + launch.dynamic_shared;
    shared_.resize(block_.shared_bytes + shared_alignment);
    block_.shared = aligned(shared_, shared_alignment);
    block_.last_allocation.resize(kernel_.code.size());

    const std::uint64_t threads = launch.block.all();
    warps_.resize((threads + lanes - 1) / lanes);
    const auto bytes = static_cast<std::size_t>(kernel_.register_bytes);
    const auto predicates = static_cast<std::size_t>(kernel_.predicates) + 1;
    registers_.resize(warps_.size() * bytes + cache_line);
    constants_.resize(kernel_.constants.size() + cache_line);
    predicates_.resize(warps_.size() * predicates);
    char* const registers = aligned(registers_, cache_line);
    char* const constants = aligned(constants_, cache_line);
    std::copy(kernel_.constants.begin(), kernel_.constants.end(), constants);
    std::memset(registers, poison_byte, warps_.size() * bytes);
    for (std::size_t n = 0; n < warps_.size(); ++n) {
        warp& w = warps_[n];
        w.registers = registers + n * bytes;
        w.constants = constants + kernel_.constants.size();
        w.predicates = predicates_.data() + n * predicates;
        w.block = &block_;
        w.kernel = &kernel_;
        w.index = static_cast<int>(n);
        const std::uint64_t left = threads - n * lanes;
        w.present = left >= lanes ? everyone : (1U << left) - 1;
        w.local.resize(kernel_.local_bytes * lanes);
    }
}

void block_runner::run(std::uint64_t block, unsigned seed) {
    const bool in_order = launch_.how.in_order;
    block_.x = static_cast<unsigned>(block % launch_.grid.x);
    block_.y = static_cast<unsigned>(block / launch_.grid.x % launch_.grid.y);
    block_.z = static_cast<unsigned>(block / launch_.grid.x / launch_.grid.y);
    block_.random.seed(seed + static_cast<unsigned>(block) * 7919U);
    block_.watch.begin(launch_.how.watch ? block_.shared_bytes : 0, warps_.size());
    ++block_.counted.blocks;
    std::memset(block_.shared, poison_byte, block_.shared_bytes);
    std::vector<warp*> order;
    for (warp& w : warps_) {
        begin(w);
        order.push_back(&w);
    }
    while (true) {
        if (!in_order) {
            std::shuffle(order.begin(), order.end(), block_.random);
        }
        // Until each has ended or waits. Warps are stopped anywhere now and then: others overtake them.
        for (bool any = true; any;) {
            any = false;
            for (warp* const w : order) {
                if (w->state == warp_state::running) {
                    const bool alone = in_order || warps_.size() == 1;
                    budget_ = alone ? unlimited : 4 + static_cast<int>(block_.random() % 512);
                    execute(*w);
                    any = any || w->state == warp_state::running;
                }
            }
        }
        if (std::all_of(warps_.begin(), warps_.end(), [](const warp& w) { return w.state == warp_state::done; })) {
            return;
        }
        meet_at_barrier();
    }
}

void block_runner::begin(warp& w) {
    w.pc = 0;
    w.active = w.present;
    w.exited = ~w.present;
    w.runnable.clear();
    w.waiting.clear();
    w.copies.clear();
    w.state = warp_state::running;
    std::fill_n(w.committed, lanes, 0U);
    std::fill(w.local.begin(), w.local.end(), static_cast<char>(poison_byte));
    for (const auto& [to, which] : kernel_.specials) {
        std::uint32_t words[lanes];
        for (int l = 0; l < lanes; ++l) {
            words[l] = value_of(which, w, l);
        }
        put(w, to, words, everyone);
    }
}

const instruction& block_runner::code_at(std::int32_t pc) const {
    return kernel_.code[static_cast<std::size_t>(pc)];
}

// Every warp has ended or waits: for the same barrier, or for nothing that will come.
void block_runner::meet_at_barrier() {
    const auto waits = [](const warp& w) { return w.state == warp_state::at_barrier; };
    const warp& first = *std::find_if(warps_.begin(), warps_.end(), waits);
    const instruction& at = code_at(first.pc - 1);
    for (const warp& w : warps_) {
        if (!waits(w) || w.exited != ~w.present) {
            first.fail(fault_kind::stuck, at, 0,
                       "stuck: threads wait at a barrier that some of their block have left out");
        }
        if (w.barrier != first.barrier) {
            w.fail(fault_kind::stuck, code_at(w.pc - 1), 0, "stuck: warps wait at different barriers");
        }
    }
    reduce_at_barrier(at);
    for (warp& w : warps_) {
        w.state = warp_state::running;
    }
    ++block_.counted.barriers;
    block_.watch.block_barrier();
}

// bar.red: mode 1 counts whose predicate is set, 2 is whether all are, 3 whether any is.
void block_runner::reduce_at_barrier(const instruction& i) {
    std::uint32_t set = 0;
    std::uint32_t threads = 0;
    for (const warp& w : warps_) {
        const instruction& own = code_at(w.pc - 1);
        if (own.mode != i.mode) {
            w.fail(fault_kind::stuck, own, 0, "stuck: warps wait at barriers of different kinds");
        }
        if (own.mode != 0) {
            const std::uint32_t said = w.predicates[own.s[0]] ^ (own.negated ? everyone : 0);
            set += static_cast<std::uint32_t>(std::popcount(said & w.present));
            threads += static_cast<std::uint32_t>(std::popcount(w.present));
        }
    }
    for (warp& w : warps_) {
        const instruction& own = code_at(w.pc - 1);
        w.mask = w.present;
        if (own.mode == 1) {
            std::uint32_t words[lanes];
            std::fill_n(words, lanes, set);
            put(w, own.d[0], words, w.mask);
        } else if (own.mode != 0) {
            put_predicate(w, own.d[0], set > 0 && (own.mode == 3 || set == threads) ? everyone : 0);
        }
    }
}

// The lanes at the lowest instruction go on; those at the same one join them. False: none can.
bool block_runner::choose(warp& w) {
    if (w.active != 0) {
        w.runnable.push_back({w.pc, w.active});
        w.active = 0;
    }
    if (w.runnable.empty()) {
        return false;
    }
    std::sort(w.runnable.begin(), w.runnable.end(), [](const fragment& a, const fragment& b) { return a.pc > b.pc; });
    w.pc = w.runnable.back().pc;
    while (!w.runnable.empty() && w.runnable.back().pc == w.pc) {
        w.active |= w.runnable.back().mask;
        w.runnable.pop_back();
    }
    return true;
}

// Lanes have come where they need others: whether all are here.
bool block_runner::gather(warp& w, std::uint32_t needed) {
    needed &= ~w.exited;
    const auto others =
        std::find_if(w.waiting.begin(), w.waiting.end(), [&](const fragment& f) { return f.pc == w.pc; });
    if ((needed & ~w.active) != 0 && others != w.waiting.end()) {
        w.active |= others->mask;
        w.waiting.erase(others);
    }
    if ((needed & ~w.active) == 0) {
        return true;
    }
    w.waiting.push_back({w.pc, w.active});
    w.active = 0;
    return false;
}

namespace {

std::uint32_t needed_at(const warp& w, const instruction& i, std::uint32_t mask) {
    return i.flow == flow_kind::warp_sync ? w.words(i.s[3])[std::countr_zero(mask)] : w.present;
}

} // namespace

// No lane can go on but those that wait: one that they wait for has ended, or nobody comes.
void block_runner::release(warp& w) {
    for (auto each = w.waiting.begin(); each != w.waiting.end(); ++each) {
        const fragment f = *each;
        if ((needed_at(w, code_at(f.pc), f.mask) & ~w.exited & ~f.mask) == 0) {
            w.waiting.erase(each);
            w.pc = f.pc;
            w.active = f.mask;
            return;
        }
    }
    std::string all;
    for (const fragment& each : w.waiting) {
        const statement& s = kernel_.source.statements[static_cast<std::size_t>(code_at(each.pc).number)];
        all += (all.empty() ? "" : "; ") + hexadecimal(each.mask) + " at PTX line " + std::to_string(s.line);
    }
    const fragment first = w.waiting.front();
    w.fail(fault_kind::stuck, code_at(first.pc), std::countr_zero(first.mask),
           "stuck: lanes wait for others of their warp that never come: " + all);
}

// Until the warp waits at a barrier, has ended, or has had its turn.
void block_runner::execute(warp& w) {
    const instruction* const code = kernel_.code.data();
    std::int32_t limit = 0; // the next fragment's instruction
    const auto reschedule = [&]() -> bool {
        if (!choose(w)) {
            if (w.waiting.empty()) {
                w.state = warp_state::done;
                land_all(w);
                return false;
            }
            release(w);
        }
        limit = w.runnable.empty() ? unlimited : w.runnable.back().pc;
        return true;
    };
    bool goes_on = reschedule();
    std::size_t fragments = w.runnable.size();
    std::uint32_t active = w.active;
    while (goes_on) {
        const instruction& i = code[w.pc];
        w.mask = i.guard < 0 ? active : active & (w.predicates[i.guard] ^ (i.guard_negated ? everyone : 0));
        if (i.flow == flow_kind::plain) {
            if (w.mask != 0) {
                i.run(w, i);
            }
            if (++w.pc < limit) {
                continue;
            }
            w.active = active;
        } else {
            w.active = active;
            if (!control(w, i)) {
                return;
            }
            if (w.active == active && w.pc < limit && w.runnable.size() == fragments) {
                if (--budget_ > 0) {
                    continue;
                }
                return;
            }
        }
        goes_on = reschedule();
        fragments = w.runnable.size();
        active = w.active;
    }
}

// An instruction that is more than a function of the lanes. False: the warp's turn is over.
bool block_runner::control(warp& w, const instruction& i) {
    switch (i.flow) {
    case flow_kind::branch:
        branch(w, i);
        return true;
    case flow_kind::branch_index:
        branch_by_index(w, i);
        return true;
    case flow_kind::exit:
        w.exited |= w.mask;
        w.active &= ~w.mask;
        ++w.pc;
        return true;
    case flow_kind::barrier:
        return wait_for_block(w, i);
    default:
        with_lanes_of_warp(w, i);
        return true;
    }
}

void block_runner::branch(warp& w, const instruction& i) {
    if (w.mask == w.active) {
        w.pc = i.target;
        return;
    }
    if (w.mask != 0) {
        w.runnable.push_back({i.target, w.mask});
        w.active &= ~w.mask;
    }
    ++w.pc;
}

void block_runner::branch_by_index(warp& w, const instruction& i) {
    const auto& table = kernel_.jump_tables[static_cast<std::size_t>(i.target)];
    for_lanes(w.mask, [&](int l) {
        const std::uint32_t n = w.words(i.s[0])[l];
        if (n >= table.size()) {
            w.fail(fault_kind::illegal, i, l, "a branch to entry " + std::to_string(n));
        }
        w.runnable.push_back({table[n], 1U << l});
    });
    w.active &= ~w.mask;
    ++w.pc;
}

bool block_runner::wait_for_block(warp& w, const instruction& i) {
    if (w.mask != w.active) {
        w.fail(fault_kind::illegal, i, std::countr_zero(w.active), "a barrier for some lanes of a warp only");
    }
    if (!gather(w, w.present)) {
        return true;
    }
    ++w.pc;
    w.state = warp_state::at_barrier;
    w.barrier = i.offset;
    return false;
}

void block_runner::with_lanes_of_warp(warp& w, const instruction& i) {
    if (w.mask == 0) {
        ++w.pc;
        return;
    }
    if (w.mask != w.active) {
        w.fail(fault_kind::illegal, i, std::countr_zero(w.mask), "a guard that only some lanes of a warp meet");
    }
    if (!gather(w, needed_at(w, i, w.mask))) {
        return;
    }
    if (i.flow == flow_kind::all_lanes && w.active != everyone) {
        w.fail(fault_kind::illegal, i, std::countr_zero(w.active), "needs all 32 lanes");
    }
    w.mask = w.active;
    i.run(w, i);
    ++w.pc;
}

} // namespace ptx
