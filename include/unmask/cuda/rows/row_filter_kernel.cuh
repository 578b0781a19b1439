// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_end.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/tensor/float_types.hpp>

// Finds the last token that a filter keeps of each row without sorting: an interval of keys that contains it is
// narrowed to a quarter at a time, by counting the tokens above each quarter with all threads of a block. Once few
// tokens are left in the interval, they are copied to shared memory. Weights are integers, so the sum does not depend
// on the order of addition.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Logit>
struct filter_parameters {
    logit_rows<Logit> logits;
    const int* count; // number of rows; one for each block if null
    const chunk_record* records;
    token_filter filter;
    row_rule rule;
    const row_state* rows; // of all tokens, without the filter
    token_floor* floors;   // the result
};

inline constexpr int filter_warps = 4; // warps in a block, which works on one row
inline constexpr int filter_threads = filter_warps * device::warp_size;
inline constexpr int most_listed = 1024;

struct filter_memory {
    float logits[most_listed];
    int tokens[most_listed];
};

// Logits as integers in the same order, with as many bits as the type has. 0 is −∞.
template <class Logit>
struct logit_order {
    static constexpr int shift = 32 - 8 * static_cast<int>(sizeof(Logit));

    UNMASK_DEVICE static std::uint32_t key(float logit) {
        const auto bits = bits_as<std::uint32_t>(logit);
        const std::uint32_t wide = bits > 0x80000000U ? ~bits : bits | 0x80000000U; // −0 is 0
        return bits == 0xff800000U ? 0 : wide >> shift;
    }
    UNMASK_DEVICE static float logit(std::uint32_t key) {
        const std::uint32_t wide = key << shift;
        return bits_as<float>((wide & 0x80000000U) != 0 ? wide & 0x7fffffffU : ~(wide | ((1U << shift) - 1)));
    }
};

// A set of tokens.
struct token_sum {
    std::uint64_t weight = 0; // total weight, or their number if weights are not used
    int count = 0;

    UNMASK_DEVICE token_sum operator+(const token_sum& other) const {
        return {weight + other.weight, count + other.count};
    }
};

// The tokens whose keys are at least each of three keys and below a fourth.
struct token_sums {
    token_sum from[3];

    UNMASK_DEVICE token_sums operator+(const token_sums& other) const {
        return {{from[0] + other.from[0], from[1] + other.from[1], from[2] + other.from[2]}};
    }
};

// The interval of a search for the highest key such that the tokens from it on reach a target.
struct key_range {
    std::uint32_t low;  // 0, or tokens from it on reach the target
    std::uint32_t high; // tokens from it on don't reach the target
    token_sum from_low;
    token_sum from_high;
};

// The key and the weight of a token in a search.
struct token_measure {
    token_floor kept;      // tokens that are not kept have no key
    bool weighs = false;   // by weight, not by number
    bool is_equal = false; // if so, only tokens of one logit have a key, higher for lower tokens
    float equal_to = 0;
};

template <class Logit>
class floor_finder {
public:
    UNMASK_DEVICE floor_finder(const filter_parameters<Logit>& p, index_t row)
        : p_(p), records_(p.records + row * p.logits.chunks()), logits_(p.logits.row(row)),
          whole_(copy_of(p.rows[row])), as_number_(static_cast<std::size_t>(p.logits.size)),
          memory_(*reinterpret_cast<filter_memory*>(device::shared_memory())) {}

    UNMASK_DEVICE token_floor operator()() {
        const token_filter& filter = p_.filter;
        token_measure how;
        if (whole_.bad || whole_.part.best < 0) {
            return how.kept;
        }
        const bool limits_count = filter.limits_count(static_cast<std::size_t>(p_.logits.size));
        if (limits_count) {
            how.kept = last_of(how, static_cast<std::uint64_t>(filter.top_k),
                               {chunk_bound(filter.top_k), past_highest(), {0, unknown}, {}});
        }
        if (filter.top_p < 1) {
            how.weighs = true;
            const double mass = p_.rule.sums_of(whole_.part).with_best().weight;
            std::uint64_t share = as_number_.from(product_of(filter.top_p, mass));
            key_range range{0, past_highest(), {0, p_.logits.size}, {}};
            if (limits_count) {
                listed_ = -1;
                const token_sum all = sum_of(how);
                if (filter.order == filter_order::top_k_then_top_p) {
                    share = whole_weights::share_of(all.weight, filter.top_p);
                }
                if (all.weight < share) {
                    return how.kept;
                }
                range = {order::key(how.kept.logit), past_highest(), all, {}};
            }
            how.kept = last_of(how, share, range);
        }
        return how.kept;
    }

private:
    using order = logit_order<Logit>;
    static constexpr int unknown = std::numeric_limits<int>::max();

    UNMASK_DEVICE std::uint32_t past_highest() const { return order::key(whole_.part.highest) + 1; }

    // A key that at least `count` tokens reach: the count-th highest of the chunks' maxima; 0 if there are fewer
    // chunks.
    UNMASK_DEVICE std::uint32_t chunk_bound(index_t count) const {
        const int chunks = p_.logits.chunks();
        std::uint32_t mine = 0;
        for (int i = device::thread(); i < chunks && count <= chunks; i += filter_threads) {
            const float highest = records_[i].highest;
            int before = 0;
            for (int other = 0; other < chunks; ++other) {
                before +=
                    records_[other].highest > highest || (records_[other].highest == highest && other < i) ? 1 : 0;
            }
            mine = before + 1 == count ? order::key(highest) : mine;
        }
        return device::combined<filter_threads>(mine, [](std::uint32_t a, std::uint32_t b) { return a > b ? a : b; });
    }

    UNMASK_DEVICE float logit_of(int token) const {
        return token < p_.logits.size && token != p_.logits.suppressed ? static_cast<float>(logits_[token])
                                                                       : minus_infinity;
    }
    // Collective for a warp.
    UNMASK_DEVICE std::uint64_t weight_of(float logit) const {
        return as_number_.of(weights_(p_.rule.rule.distance(logit, whole_.part.highest), p_.rule.rule));
    }
    UNMASK_DEVICE std::uint32_t key_of(const token_measure& how, float logit, int token) const {
        if (!how.kept.keeps(logit, token)) {
            return 0;
        }
        const auto place = static_cast<std::uint32_t>(p_.logits.size - token);
        return !how.is_equal ? order::key(logit) : logit == how.equal_to ? place : 0;
    }

    // Calls f(key, weight, logit, token) once for each token whose key may be at least a given one. Collective.
    template <class F>
    UNMASK_DEVICE void for_each(const token_measure& how, std::uint32_t key, const F& f) const {
        const auto visit = [&](float logit, int token) {
            f(key_of(how, logit, token), how.weighs ? weight_of(logit) : 1, logit, token);
        };
        if (listed_ >= 0) {
            UNMASK_NO_UNROLL
            for (int begin = 0; begin < listed_; begin += filter_threads) {
                const int i = begin + device::thread();
                visit(i < listed_ ? memory_.logits[i] : minus_infinity, i < listed_ ? memory_.tokens[i] : 0);
            }
            return;
        }
        const float lowest = how.is_equal ? how.equal_to : key == 0 ? minus_infinity : order::logit(key);
        UNMASK_NO_UNROLL
        for (int chunk = 0; chunk < p_.logits.chunks(); ++chunk) {
            if (records_[chunk].highest < lowest) {
                continue;
            }
            UNMASK_UNROLL
            for (int i = 0; i < static_cast<int>(chunk_size); i += filter_threads) {
                const int token = chunk * static_cast<int>(chunk_size) + i + device::thread();
                visit(logit_of(token), token);
            }
        }
    }

    // The sum of all kept tokens.
    UNMASK_DEVICE token_sum sum_of(const token_measure& how) const {
        token_sum mine;
        const std::uint32_t lowest = order::key(how.kept.logit);
        for_each(how, lowest, [&](std::uint32_t key, std::uint64_t weight, float /*logit*/, int /*token*/) {
            mine = mine + (key > 0 ? token_sum{weight, 1} : token_sum{});
        });
        return device::combined<filter_threads>(mine, add{});
    }

    // The last of the fewest tokens that reach a target, by descending key; the current floor if all together don't
    // reach it.
    UNMASK_DEVICE token_floor last_of(const token_measure& how, std::uint64_t target, key_range range) {
        if (range.low == 0) {
            const double distance = 4 / p_.rule.rule.scale; // most targets are reached within it
            narrow(how, target, range, {{key_below(4 * distance), key_below(2 * distance), key_below(distance)}});
        }
        narrow(how, target, range);
        if (range.low == 0) {
            return how.kept;
        }
        const float logit = order::logit(range.low);
        const std::uint64_t each = how.weighs ? weight_of(logit) : 1;
        const std::uint64_t needed = (target - range.from_high.weight + each - 1) / each; // tokens with this logit
        const int equals = range.from_low.count - range.from_high.count;
        if (needed == static_cast<std::uint64_t>(equals) && how.kept.logit < logit) {
            return {logit, last_token};
        }
        key_range places{0, static_cast<std::uint32_t>(p_.logits.size) + 1, {0, equals}, {}};
        narrow({how.kept, false, true, logit}, needed, places);
        return {logit, p_.logits.size - static_cast<token_t>(places.low)};
    }

    UNMASK_DEVICE std::uint32_t key_below(double distance) const {
        const double logit = static_cast<double>(whole_.part.highest) - distance;
        return logit > -static_cast<double>(largest_float) ? order::key(static_cast<float>(logit)) : 1;
    }

    // Narrows a range to a single key.
    UNMASK_DEVICE void narrow(const token_measure& how, std::uint64_t target, key_range& range) {
        while (range.high - range.low > 1) {
            const std::uint64_t width = range.high - range.low;
            const auto key = [&](std::uint64_t quarters) {
                return range.low + static_cast<std::uint32_t>((quarters * width + 3) / 4);
            };
            narrow(how, target, range, {{key(1), key(2), key(3)}});
        }
    }

    struct three_keys {
        std::uint32_t key[3]; // ascending
    };
    UNMASK_DEVICE void narrow(const token_measure& how, std::uint64_t target, key_range& range, const three_keys& at) {
        if (listed_ < 0 && range.from_low.count - range.from_high.count <= most_listed) {
            list(how, range);
        }
        token_sums mine;
        for_each(how, at.key[0], [&](std::uint32_t key, std::uint64_t weight, float /*logit*/, int /*token*/) {
            UNMASK_UNROLL
            for (int i = 0; i < 3; ++i) {
                const bool counts = key >= at.key[i] && key < range.high;
                mine.from[i].weight += counts ? weight : 0;
                mine.from[i].count += counts ? 1 : 0;
            }
        });
        const token_sums all = device::combined<filter_threads>(mine, add{});
        const token_sum from_high = range.from_high;
        bool reached = false;
        UNMASK_UNROLL
        for (int i = 2; i >= 0; --i) {
            const token_sum sum = all.from[i] + from_high;
            if (!reached && sum.weight >= target) {
                reached = true;
                range.low = at.key[i];
                range.from_low = sum;
            } else if (!reached) {
                range.high = at.key[i];
                range.from_high = sum;
            }
        }
    }

    // Copies the tokens in a range, which must fit, to shared memory.
    UNMASK_DEVICE void list(token_measure how, const key_range& range) {
        how.weighs = false;
        const auto in_range = [&](std::uint32_t key) { return key >= range.low && key < range.high && key > 0; };
        int mine = 0;
        for_each(how, range.low, [&](std::uint32_t key, std::uint64_t /*weight*/, float /*logit*/, int /*token*/) {
            mine += in_range(key) ? 1 : 0;
        });
        int all = 0;
        int at = device::sum_before<filter_threads>(mine, all);
        for_each(how, range.low, [&](std::uint32_t key, std::uint64_t /*weight*/, float logit, int token) {
            if (in_range(key)) {
                memory_.logits[at] = logit;
                memory_.tokens[at++] = token;
            }
        });
        device::barrier();
        listed_ = all;
    }

    struct add {
        template <class T>
        UNMASK_DEVICE T operator()(const T& a, const T& b) const {
            return a + b;
        }
    };

    const filter_parameters<Logit>& p_;
    const chunk_record* records_;
    const Logit* logits_;
    row_state whole_;
    whole_weights as_number_;
    warp_weights weights_;
    filter_memory& memory_;
    int listed_ = -1; // number of tokens in shared memory; −1 before they are copied
};

// One block for each row.
template <class Logit>
UNMASK_KERNEL(filter_threads, 4)
void filter_kernel(filter_parameters<Logit> p) {
    if (p.count == nullptr || device::block() < *p.count) {
        const token_floor floor = floor_finder<Logit>(p, device::block())();
        if (device::thread() == 0) {
            p.floors[device::block()] = floor;
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
