// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "liveness.hpp"

#include <cstdint>
#include <set>

namespace ptx {
namespace {

class register_set {
public:
    explicit register_set(std::size_t registers) : words_((registers + 63) / 64) {}

    [[nodiscard]] bool has(int r) const { return (words_[word(r)] >> (r % 64) & 1) != 0; }
    void add(int r) { words_[word(r)] |= std::uint64_t{1} << (r % 64); }
    void add(const register_set& others) {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            words_[i] |= others.words_[i];
        }
    }
    // All that are in `used`, or in `after` and not in `defined`; whether that is new.
    bool become(const register_set& used, const register_set& after, const register_set& defined) {
        bool changed = false;
        for (std::size_t i = 0; i < words_.size(); ++i) {
            const std::uint64_t now = used.words_[i] | (after.words_[i] & ~defined.words_[i]);
            changed = changed || now != words_[i];
            words_[i] = now;
        }
        return changed;
    }

private:
    static std::size_t word(int r) { return static_cast<std::size_t>(r) / 64; }

    std::vector<std::uint64_t> words_;
};

// Statements of which all run if the first does.
struct basic_block {
    int begin, end;
    std::vector<int> next; // numbers of blocks
    register_set used, defined, live_in, live_out;

    basic_block(int from, std::size_t registers)
        : begin(from), end(from), used(registers), defined(registers), live_in(registers), live_out(registers) {}
};

bool leaves(const statement& s) {
    return s.opcode == "bra" || s.opcode == "brx" || s.opcode == "ret" || s.opcode == "exit";
}

// The statements that may come after statement n.
std::vector<int> followers(const function& f, int n) {
    const statement& s = f.statements[static_cast<std::size_t>(n)];
    std::vector<int> result;
    if (s.opcode == "bra") {
        result.push_back(f.labels.at(s.operands[0].name));
    } else if (s.opcode == "brx") {
        for (const std::string& label : f.branch_targets.at(s.operands[1].name)) {
            result.push_back(f.labels.at(label));
        }
    }
    if (!leaves(s) || !s.guard.empty()) {
        result.push_back(n + 1);
    }
    return result;
}

std::vector<basic_block> blocks_of(const function& f, std::size_t registers) {
    const auto count = static_cast<int>(f.statements.size());
    std::set<int> begins{0};
    for (const auto& [label, at] : f.labels) {
        begins.insert(at);
    }
    for (int n = 0; n < count; ++n) {
        if (leaves(f.statements[static_cast<std::size_t>(n)])) {
            begins.insert(n + 1);
        }
    }
    begins.erase(count);
    std::vector<basic_block> blocks;
    std::vector<int> block_at(static_cast<std::size_t>(count));
    for (const int begin : begins) {
        blocks.emplace_back(begin, registers);
        block_at[static_cast<std::size_t>(begin)] = static_cast<int>(blocks.size()) - 1;
    }
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        blocks[b].end = b + 1 < blocks.size() ? blocks[b + 1].begin : count;
        for (const int n : followers(f, blocks[b].end - 1)) {
            if (n < count) {
                blocks[b].next.push_back(block_at[static_cast<std::size_t>(n)]);
            }
        }
    }
    return blocks;
}

// Fills in what is live where blocks begin and end.
void find_live(std::vector<basic_block>& blocks, const std::vector<register_uses>& uses) {
    for (basic_block& b : blocks) {
        for (int n = b.begin; n < b.end; ++n) {
            for (const int r : uses[static_cast<std::size_t>(n)].used) {
                if (!b.defined.has(r)) {
                    b.used.add(r);
                }
            }
            for (const int r : uses[static_cast<std::size_t>(n)].defined) {
                b.defined.add(r);
            }
        }
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (auto b = blocks.rbegin(); b != blocks.rend(); ++b) {
            for (const int n : b->next) {
                b->live_out.add(blocks[static_cast<std::size_t>(n)].live_in);
            }
            changed = b->live_in.become(b->used, b->live_out, b->defined) || changed;
        }
    }
}

} // namespace

std::vector<live_range> live_ranges(const function& f, const std::vector<register_uses>& uses, std::size_t registers) {
    std::vector<basic_block> blocks = blocks_of(f, registers);
    find_live(blocks, uses);
    std::vector<live_range> ranges(registers, {static_cast<int>(f.statements.size()), -1});
    const auto cover = [&](int r, int n) {
        live_range& range = ranges[static_cast<std::size_t>(r)];
        range = {std::min(range.first, n), std::max(range.last, n)};
    };
    for (const basic_block& b : blocks) {
        for (int r = 0; r < static_cast<int>(registers); ++r) {
            if (b.live_in.has(r)) {
                cover(r, b.begin);
            }
            if (b.live_out.has(r)) {
                cover(r, b.end - 1);
            }
        }
        for (int n = b.begin; n < b.end; ++n) {
            for (const auto* list :
                 {&uses[static_cast<std::size_t>(n)].used, &uses[static_cast<std::size_t>(n)].defined}) {
                for (const int r : *list) {
                    cover(r, n);
                }
            }
        }
    }
    return ranges;
}

slots share_slots(const std::vector<live_range>& ranges, const std::vector<int>& classes, int class_count) {
    std::vector<int> order;
    for (std::size_t r = 0; r < ranges.size(); ++r) {
        if (ranges[r].last >= 0) {
            order.push_back(static_cast<int>(r));
        }
    }
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return ranges[static_cast<std::size_t>(a)].first < ranges[static_cast<std::size_t>(b)].first;
    });
    struct pool {
        std::set<int> free;
        std::set<std::pair<int, int>> busy; // until when, which
    };
    std::vector<pool> pools(static_cast<std::size_t>(class_count));
    slots result{std::vector<int>(ranges.size(), -1), std::vector<int>(static_cast<std::size_t>(class_count))};
    for (const int r : order) {
        const auto at = static_cast<std::size_t>(r);
        const auto kind = static_cast<std::size_t>(classes[at]);
        pool& own = pools[kind];
        while (!own.busy.empty() && own.busy.begin()->first < ranges[at].first) {
            own.free.insert(own.busy.begin()->second);
            own.busy.erase(own.busy.begin());
        }
        if (own.free.empty()) {
            own.free.insert(result.count[kind]++);
        }
        const int slot = *own.free.begin();
        own.free.erase(own.free.begin());
        result.of_register[at] = slot;
        own.busy.emplace(ranges[at].last, slot);
    }
    return result;
}

} // namespace ptx
