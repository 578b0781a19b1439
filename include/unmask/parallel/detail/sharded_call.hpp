// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/attention/detail/checks.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/agreement.hpp>
#include <unmask/parallel/sharding.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

// An attention call whose positions are spread over ranks: which keys each rank needs of another, and how they get
// there.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Positions that a rank holds, and where they begin in its tensors.
struct placed_range {
    range positions;
    index_t at;

    [[nodiscard]] index_t size() const { return positions.end - positions.begin; }
};

inline std::vector<placed_range> placed(std::span<const range> held) {
    std::vector<placed_range> result;
    index_t at = 0;
    for (const range& each : held) {
        result.push_back({each, at});
        at += each.end - each.begin;
    }
    return result;
}

// The keys of a rank that some queries see: of each of its ranges, from the first to the last of them.
template <mask_policy Mask>
std::vector<placed_range> needed_keys(const Mask& mask, std::span<const range> queries, std::span<const range> keys) {
    std::vector<placed_range> result;
    for (const placed_range& held : placed(keys)) {
        range hull{held.positions.end, held.positions.begin};
        for (const range& each : queries) {
            const auto seen = mask.key_ranges(each.begin, each.end, held.positions.end);
            for (const range& part : intersection(seen, ranges<1>(held.positions))) {
                hull = {std::min(hull.begin, part.begin), std::max(hull.end, part.end)};
            }
        }
        if (!hull.empty()) {
            result.push_back({hull, held.at + hull.begin - held.positions.begin});
        }
    }
    return result;
}

// Some positions of [batch, positions, heads, head_dim].
template <class T>
tensor_view<T, 4> rows_of(tensor_view<T, 4> tensor, index_t first, index_t count) {
    tensor.data = tensor.empty() ? nullptr : tensor.data + first * tensor.strides[1];
    tensor.extents[1] = count;
    return tensor;
}
// Some positions of [batch, heads, positions].
template <class T>
tensor_view<T, 3> columns_of(tensor_view<T, 3> tensor, index_t first, index_t count) {
    tensor.data = tensor.empty() ? nullptr : tensor.data + first * tensor.strides[2];
    tensor.extents[2] = count;
    return tensor;
}

// Keys and values of one rank that this one has: its own, or copies of those that it needs.
template <class T>
struct key_shard {
    int owner = 0;
    std::vector<placed_range> parts{};
    std::vector<tensor_view<const T, 4>> keys{};   // of each part
    std::vector<tensor_view<const T, 4>> values{}; // the same; empty views if not needed
    raw_buffer<T> memory{};                        // of the copies
};

// Gradients that are wanted, a bit each.
enum wanted_gradients : index_t {
    wants_keys = 1,
    wants_values = 2,
    wants_sink_logits = 4,
    wants_sink_keys = 8,
    wants_sink_values = 16
};

enum attention_function : index_t { forward_function, backward_function, received_function };
inline constexpr const char* attention_functions[] = {"attention_forward", "attention_backward", "attention_received"};

// Those that a call wants.
template <class T>
index_t wanted_bits(const attention_call_gradients<T>& gradients) {
    const auto bit = [](const auto& wanted, index_t which) { return wanted.empty() ? 0 : which; };
    return bit(gradients.key, wants_keys) | bit(gradients.value, wants_values) |
           bit(gradients.sink_logits, wants_sink_logits) | bit(gradients.sink_keys, wants_sink_keys) |
           bit(gradients.sink_values, wants_sink_values);
}

template <class Parallel, class T, mask_policy Mask>
class sharded_call {
public:
    // `wanted`: of wanted_gradients. Throws on every rank if they don't agree.
    sharded_call(attention_function function, index_t wanted, const Parallel& exec, const attention_call<T>& call,
                 const Mask& mask)
        : exec_(exec), call_(call), mask_(mask), has_values_(function != received_function) {
        check_before_ranks(checker{attention_functions[function]});
        constexpr const char* types[] = {"float", "bfloat16", "float16"};
        constexpr index_t type = std::same_as<T, float> ? 0 : std::same_as<T, bfloat16> ? 1 : 2;
        const std::vector<index_t> lengths = check_agreement(
            exec.ranks,
            {{"called", function, attention_functions},
             {"tensors of", type, types},
             {"batch", call.batch},
             {"heads", call.heads},
             {"kv_heads", call.kv_heads},
             {"head_dim", call.head_dim},
             {"scale", call.scale},
             {"soft_cap", call.soft_cap},
             {"gradients of the sink (a bit each)", wanted / wants_sink_logits},
             {"a mask and shardings (their hash)", digest()}},
            {call.query_length, call.key_length, call.key_lengths != nullptr ? 1 : 0, wanted % wants_sink_logits});
        bool ragged = false;
        int first = -1; // with keys
        for (int of = 0; of < size(); ++of) {
            const index_t* const own = lengths.data() + 4 * of;
            check_length(of, "query_length", own[0], exec.queries->positions(of));
            check_length(of, "key_length", own[1], exec.keys->positions(of));
            ragged = ragged || own[2] != 0;
            if (own[1] > 0 && first < 0) {
                first = of;
                wanted_of_keys_ = own[3];
            } else if (own[1] > 0 && own[3] != wanted_of_keys_) { // without keys there may be no memory for gradients
                throw communication_error(of, "wants other gradients, of keys or values, than rank " +
                                                  std::to_string(first));
            }
        }
        if (ragged) {
            gather_key_lengths();
        }
        queries_ = placed(exec.queries->of(rank()));
    }

    [[nodiscard]] int rank() const { return exec_.ranks.rank(); }
    [[nodiscard]] int size() const { return exec_.ranks.size(); }
    [[nodiscard]] const std::vector<placed_range>& queries() const { return queries_; }
    // Whether the gradients of keys, or of values, are wanted by those who have keys.
    [[nodiscard]] bool wants(wanted_gradients which) const { return (wanted_of_keys_ & which) != 0; }

    [[nodiscard]] std::vector<placed_range> needed(int reader, int owner) const {
        return needed_keys(mask_, exec_.queries->of(reader), exec_.keys->of(owner));
    }

    // Calls visit(queries, part) for each range of this rank's queries and each part of a shard, by their numbers, of
    // which these see anything.
    template <class Visit>
    void for_each_part_seen(const key_shard<T>& shard, const Visit& visit) const {
        for (std::size_t queries = 0; queries < queries_.size(); ++queries) {
            for (std::size_t part = 0; part < shard.parts.size(); ++part) {
                if (!needed_keys(mask_, {&queries_[queries].positions, 1}, {&shard.parts[part].positions, 1}).empty()) {
                    visit(queries, part);
                }
            }
        }
    }

    // Calls compute(step, shard) for this rank's keys, step 0, and then for those that it needs of the rank `step`
    // before it: one order for one number of ranks. The next keys are under way meanwhile.
    template <class Compute>
    void for_each_shard(const Compute& compute) const {
        std::optional<transfer> next(start(1));
        compute(0, own());
        for (int step = 1; step < size(); ++step) {
            next->request.wait();
            const key_shard<T> arrived = std::move(next->arriving);
            next.emplace(start(step + 1));
            compute(step, arrived);
        }
    }

    // Keys of a shard for some queries, as a call of this rank alone; `lengths` is memory for it.
    struct part_lengths {
        std::vector<index_t> queries{};
        std::vector<index_t> keys{};
    };
    [[nodiscard]] attention_call<T> part_call(const placed_range& queries, const key_shard<T>& shard, std::size_t part,
                                              part_lengths& lengths) const {
        attention_call<T> result = call_of(queries, lengths);
        const placed_range& keys = shard.parts[part];
        result.key = shard.keys[part];
        result.value = shard.values[part];
        result.key_length = keys.size();
        result.key_offset = keys.positions.begin;
        if (!key_lengths_.empty()) {
            const auto first = static_cast<std::size_t>(shard.owner) * static_cast<std::size_t>(call_.batch);
            lengths.keys = within(key_lengths_.data() + first, keys);
            result.key_lengths = lengths.keys.data();
        }
        return result;
    }
    // Without keys: what the sink alone gives these queries.
    [[nodiscard]] attention_call<T> sink_call(const placed_range& queries, part_lengths& lengths) const {
        attention_call<T> result = call_of(queries, lengths);
        result.key = result.value = {nullptr, {call_.batch, 0, call_.kv_heads, call_.head_dim}, {0, 0, 0, 1}};
        result.key_length = 0;
        result.key_lengths = nullptr;
        return result;
    }

    // This rank's keys, as far as it needs them.
    [[nodiscard]] key_shard<T> own() const {
        key_shard<T> result{.owner = rank(), .parts = needed(rank(), rank())};
        for (const placed_range& part : result.parts) {
            result.keys.push_back(rows_of(call_.key, part.at, part.size()));
            result.values.push_back(rows_of(call_.value, part.at, part.size()));
        }
        return result;
    }

    // Elements of some keys, and of their values.
    [[nodiscard]] std::size_t elements(const std::vector<placed_range>& parts) const {
        index_t positions = 0;
        for (const placed_range& part : parts) {
            positions += part.size();
        }
        const index_t tensors = has_values_ ? 2 : 1;
        return static_cast<std::size_t>(tensors * positions * call_.batch * call_.kv_heads * call_.head_dim);
    }

    // Where the keys and values of a shard's parts lie in memory for its elements().
    void place_in(key_shard<T>& shard, const T* place) const {
        const auto next = [&](const placed_range& part) {
            const auto rows = view(place, call_.batch, part.size(), call_.kv_heads, call_.head_dim);
            place += rows.size();
            return rows;
        };
        for (const placed_range& part : shard.parts) {
            shard.keys.push_back(next(part));
            shard.values.push_back(has_values_ ? next(part) : tensor_view<const T, 4>{});
        }
    }

private:
    struct transfer {
        raw_buffer<T> sent;
        key_shard<T> arriving;
        decltype(exchange<decltype(Parallel::ranks), T>(std::declval<const Parallel&>().ranks, 0, {}, 0, {})) request;
    };

    // What a rank finds wrong without the others.
    void check_before_ranks(const checker& check) const {
        const auto checks_ranks = [&](const sharding& of, const char* name) {
            check.expects(of.ranks() == size(), name, index_t{of.ranks()},
                          "ranks.size() (" + std::to_string(size()) + ")");
        };
        checks_ranks(*exec_.queries, "queries.ranks()");
        checks_ranks(*exec_.keys, "keys.ranks()");
        constexpr const char* none = "0: the sharding says where positions are";
        check.expects(call_.query_offset == 0, "options.query_offset", call_.query_offset, none);
        check.expects(call_.key_offset == 0, "options.key_offset", call_.key_offset, none);
    }
    static void check_length(int rank, const char* name, index_t was, index_t held) {
        if (was != held) {
            throw communication_error(rank, std::string("has ") + name + " " + std::to_string(was) + ", and holds " +
                                                std::to_string(held) + " positions");
        }
    }

    // Of what the mask shows of every rank's queries, and of where these and the keys are.
    [[nodiscard]] index_t digest() const {
        std::uint64_t state = 14695981039346656037U; // FNV-1a
        const auto add = [&](const range& each) {
            for (const index_t number : {each.begin, each.end}) {
                state = (state ^ static_cast<std::uint64_t>(number)) * 1099511628211U;
            }
        };
        for (int rank = 0; rank < size(); ++rank) {
            for (const range& each : exec_.queries->of(rank)) {
                add(each);
                for (const range& seen : mask_.key_ranges(each.begin, each.end, exec_.keys->length())) {
                    add(seen);
                }
            }
            for (const range& each : exec_.keys->of(rank)) {
                add(each);
            }
            add({-1, -1});
        }
        return static_cast<index_t>(state >> 1);
    }

    // [ranks, batch]
    void gather_key_lengths() {
        std::vector<index_t> mine;
        for (index_t sequence = 0; sequence < call_.batch; ++sequence) {
            mine.push_back(call_.keys(sequence));
        }
        key_lengths_.resize(mine.size() * static_cast<std::size_t>(size()));
        all_gather(exec_.ranks, std::span<const index_t>(mine), std::span(key_lengths_));
    }

    [[nodiscard]] std::vector<index_t> within(const index_t* lengths, const placed_range& part) const {
        std::vector<index_t> result;
        for (index_t sequence = 0; sequence < call_.batch; ++sequence) {
            result.push_back(std::clamp<index_t>(lengths[sequence] - part.at, 0, part.size()));
        }
        return result;
    }

    [[nodiscard]] attention_call<T> call_of(const placed_range& queries, part_lengths& lengths) const {
        attention_call<T> result = call_;
        result.query = rows_of(call_.query, queries.at, queries.size());
        result.output = rows_of(call_.output, queries.at, queries.size());
        result.log_sum_exp = columns_of(call_.log_sum_exp, queries.at, queries.size());
        result.query_length = queries.size();
        result.query_offset = queries.positions.begin;
        if (call_.query_lengths != nullptr) {
            lengths.queries = within(call_.query_lengths, queries);
            result.query_lengths = lengths.queries.data();
        }
        return result;
    }

    // Sends what the rank `step` after this one needs, and asks for what this one needs of the rank `step` before it.
    [[nodiscard]] transfer start(int step) const {
        raw_buffer<T> sent;
        key_shard<T> arriving;
        std::size_t count_sent = 0;
        std::size_t count_arriving = 0;
        const bool more = step < size();
        const int to = more ? rank_at(exec_.ranks, step) : rank();
        const int from = more ? rank_at(exec_.ranks, -step) : rank();
        if (more) {
            const std::vector<placed_range> leaving = needed(to, rank());
            count_sent = elements(leaving);
            sent = raw_buffer<T>(static_cast<index_t>(count_sent));
            T* at = sent.data();
            for (const placed_range& part : leaving) {
                at = copy_rows(call_.key, part, at);
                at = has_values_ ? copy_rows(call_.value, part, at) : at;
            }
            arriving.owner = from;
            arriving.parts = needed(rank(), from);
            count_arriving = elements(arriving.parts);
            arriving.memory = raw_buffer<T>(static_cast<index_t>(count_arriving));
            place_in(arriving, arriving.memory.data());
        }
        auto request = exchange<decltype(Parallel::ranks), T>(exec_.ranks, to, {sent.data(), count_sent}, from,
                                                              {arriving.memory.data(), count_arriving});
        return {std::move(sent), std::move(arriving), std::move(request)};
    }

    [[nodiscard]] T* copy_rows(const tensor_view<const T, 4>& from, const placed_range& part, T* to) const {
        for (index_t sequence = 0; sequence < call_.batch; ++sequence) {
            for (index_t row = part.at; row < part.at + part.size(); ++row) {
                for (index_t head = 0; head < call_.kv_heads; ++head, to += call_.head_dim) {
                    std::copy_n(from.pointer(sequence, row, head), call_.head_dim, to);
                }
            }
        }
        return to;
    }

    const Parallel& exec_;
    const attention_call<T>& call_;
    const Mask& mask_;
    bool has_values_; // received needs none
    index_t wanted_of_keys_ = 0;
    std::vector<placed_range> queries_;
    std::vector<index_t> key_lengths_;
};

} // namespace detail
UNMASK_NAMESPACE_END
