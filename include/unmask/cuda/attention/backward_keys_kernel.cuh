// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/backward_plan.cuh>
#include <unmask/cuda/attention/gradient_fragment.cuh>
#include <unmask/cuda/attention/hidden_values.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/keys_state.cuh>
#include <unmask/cuda/attention/query_sums.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// Gradients of keys and values on the tensor cores. A block has a tile of keys of one kv head, and goes through the
// tiles of queries that see them, of each head of the group. Scores are transposed, a row for each key: then a warp's
// are, rounded, the left factor of its sums, and never leave its registers. The next queries are copied while the block
// computes; where it has one buffer of each tensor, one is copied while the other is used. If the plan says so, it adds
// to the gradients of queries as well: of these, a warp's scores are not a factor, so all go through shared memory.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Plan>
struct backward_keys_memory {
    using own_tile = shared_tile<Plan::owned, Plan::head_dim>;
    using visited_tile = shared_tile<Plan::visited, Plan::head_dim>;
    using state_type = keys_state<Plan::owned, Plan::visited>;
    using score_tile = shared_tile<Plan::owned, 32>;
    static constexpr int state_end = 2 * own_tile::bytes + 2 * Plan::buffers * visited_tile::bytes + state_type::bytes;
    static constexpr int score_begin = (state_end + 127) / 128 * 128;
    static constexpr int bytes = Plan::sums_queries ? score_begin + score_tile::bytes : state_end;

    UNMASK_DEVICE static own_tile keys() { return {device::shared_memory()}; }
    UNMASK_DEVICE static own_tile values() { return {keys().data + own_tile::bytes}; }
    UNMASK_DEVICE static visited_tile queries(int turn) {
        return {values().data + own_tile::bytes + turn * visited_tile::bytes};
    }
    UNMASK_DEVICE static visited_tile d_output(int turn) {
        return {queries(turn).data + Plan::buffers * visited_tile::bytes};
    }
    UNMASK_DEVICE static state_type state() {
        return {values().data + own_tile::bytes + 2 * Plan::buffers * visited_tile::bytes};
    }
    // Gradients of scores, if they go on to those of queries.
    UNMASK_DEVICE static score_tile d_scores() { return {device::shared_memory() + score_begin}; }
};

// Computes the gradients of values, of keys, or both.
template <class Plan, class T, mask_policy Mask, class Gradient, bool Values, bool Keys>
class tensor_core_backward_keys {
public:
    UNMASK_DEVICE explicit tensor_core_backward_keys(const backward_parameters<T, Mask, Gradient>& parameters)
        : p_(parameters), own_place_(left_place<own_tile>(warp_row())),
          transposed_place_(transposed_place<visited_tile>()), visited_place_(right_place<visited_tile>()) {}

    UNMASK_DEVICE void run() {
        d_values_.clear();
        d_keys_.clear();
        if constexpr (Values && Keys) {
            add_both();
        } else {
            add_one();
        }
        device::wait_copies<0>();
        if constexpr (Plan::sums_queries) {
            device::barrier(); // nobody needs the keys any more, by way of which gradients are written
        }
        if constexpr (Values) {
            write(d_values_, 1.0F, memory::values(), p_.of.d_value);
        }
        if constexpr (Keys) {
            write(d_keys_, call().scale, memory::keys(), p_.of.d_key);
        }
        device::barrier();
        if (values_taken_out<Plan::threads>(memory::state().unit())) {
            add_taken_out();
        }
    }

private:
    using memory = backward_keys_memory<Plan>;
    using own_tile = typename memory::own_tile;
    using visited_tile = typename memory::visited_tile;
    using score_fragment = fragment<Plan::row_tiles, Plan::score_tiles>;
    using gradient_fragment = fragment<Plan::row_tiles, Plan::gradient_tiles>;

    UNMASK_DEVICE const kernel_call<T>& call() const { return p_.of.call; }
    UNMASK_DEVICE static int warp_row() { return fragment_warp_row<Plan::row_tiles>(); }

    // Of gradients that one block computes together, one may not be wanted.
    UNMASK_DEVICE bool values_wanted() const { return Values && (!Keys || p_.of.d_value.data != nullptr); }
    UNMASK_DEVICE bool keys_wanted() const { return Keys && (!Values || p_.of.d_key.data != nullptr); }

    // products = own · visitedᵀ, where `visited` is the buffer of turn 0.
    UNMASK_DEVICE void multiply(const own_tile& own, const visited_tile& visited, int turn,
                                score_fragment& products) const {
        multiply_scores<T, Plan::head_dim / 16>(own, device::opaque(own_place_), visited,
                                                device::opaque(transposed_place_) + turn_bytes(turn), products);
    }
    // sums += factors · visited
    UNMASK_DEVICE void add_product(const score_fragment& factors, const visited_tile& visited, int turn,
                                   gradient_fragment& sums) const {
        multiply_values<T>(factors, visited, device::opaque(visited_place_) + turn_bytes(turn), sums);
    }
    UNMASK_DEVICE static std::uint32_t turn_bytes(int turn) {
        return static_cast<std::uint32_t>(turn * visited_tile::bytes);
    }

    // Tiles of queries, of one head of the group after another.
    struct walk {
        int head; // of the group
        tile at;
        bool more;
        const T* query; // the head's
        const T* d_output;
    };
    UNMASK_DEVICE walk first() const {
        const keys_unit& unit = memory::state().unit();
        const int head = unit.kv_head * call().group;
        walk all{0, memory::state().tiles().before_first(), false, call().query.row(unit.sequence, 0, head),
                 p_.of.d_output.row(unit.sequence, 0, head)};
        all.more = memory::state().tiles().next(all.at);
        return all;
    }
    UNMASK_DEVICE void move_on(walk& all) const {
        const auto tiles = memory::state().tiles();
        all.more = tiles.next(all.at);
        if (!all.more && all.head + 1 < call().group) {
            ++all.head;
            all.query += call().query.head_stride;
            all.d_output += p_.of.d_output.head_stride;
            all.at = tiles.before_first();
            all.more = tiles.next(all.at);
        }
    }

    // Two buffers of each tensor.
    UNMASK_DEVICE void add_both() {
        walk next = first();
        if (next.more) {
            copy_keys();
            copy_both(0, next);
            store_number(0, number(next));
        }
        device::commit_copies();
        for (int turn = 0; next.more; turn ^= 1) {
            const tile current = next.at;
            const int current_head = head(next);
            move_on(next);
            device::wait_copies<0>();
            device::barrier(); // queries are here, and nobody needs those of the turn before any more
            if (next.more) {
                copy_both(turn ^ 1, next);
            }
            device::commit_copies();
            const float next_number = number(next); // arrives while others compute
            if (current.partial()) {
                set_seen(turn, current);
                device::barrier();
            }
            score_fragment scores;
            score_fragment d_scores;
            multiply(memory::keys(), memory::queries(0), turn, scores);
            multiply(memory::values(), memory::d_output(0), turn, d_scores);
            finish(turn, current.partial(), scores, d_scores);
            if (current.partial()) {
                device::barrier(); // nobody needs the tiles as they are
                take_out_values<T, Plan::threads>(memory::d_output(turn), memory::state().unit());
                take_out_values<T, Plan::threads>(memory::queries(turn), memory::state().unit());
            }
            if (values_wanted()) {
                add_product(scores, memory::d_output(0), turn, d_values_);
            }
            if (keys_wanted()) {
                add_product(d_scores, memory::queries(0), turn, d_keys_);
            }
            if constexpr (Plan::sums_queries) {
                add_to_queries(current_head, current, d_scores);
            }
            store_number(turn ^ 1, next_number);
        }
    }

    // One buffer of each. Gradients of values need queries first, and then dO alone; those of keys the other way round.
    UNMASK_DEVICE void add_one() {
        const auto copy_first = [&](const walk& of) { Values ? copy_queries(0, of) : copy_d_output(0, of); };
        const auto copy_second = [&](const walk& of) { Values ? copy_d_output(0, of) : copy_queries(0, of); };
        const auto second = Values ? memory::d_output(0) : memory::queries(0);
        walk next = first();
        if (next.more) {
            copy_keys();
            copy_first(next);
            store_number(0, number(next));
        }
        device::commit_copies();
        device::wait_copies<0>();
        device::barrier();
        for (int turn = 0; next.more; turn ^= 1) {
            copy_second(next);
            device::commit_copies();
            const tile current = next.at;
            const int current_head = head(next);
            move_on(next);
            const float next_number = number(next); // arrives while others compute
            if (current.partial()) {
                set_seen(turn, current);
            }
            score_fragment scores;
            score_fragment d_scores;
            if constexpr (Values) {
                multiply(memory::keys(), memory::queries(0), 0, scores);
            } else {
                multiply(memory::values(), memory::d_output(0), 0, d_scores);
            }
            device::wait_copies<0>();
            device::barrier(); // the second is here, and nobody needs the first any more

            if (next.more) {
                copy_first(next);
            }
            device::commit_copies();
            if constexpr (Keys) {
                multiply(memory::keys(), memory::queries(0), 0, scores);
            }
            finish(turn, current.partial(), scores, d_scores);
            if (current.partial()) {
                device::barrier(); // nobody needs the second as it is
                take_out_values<T, Plan::threads>(second, memory::state().unit());
            }
            if constexpr (Values) {
                add_product(scores, second, 0, d_values_);
            } else {
                add_product(d_scores, second, 0, d_keys_);
                if constexpr (Plan::sums_queries) {
                    add_to_queries(current_head, current, d_scores);
                }
            }
            store_number(turn ^ 1, next_number);
            device::wait_copies<0>();
            device::barrier(); // the next first is here, and nobody needs the second any more
        }
    }

    UNMASK_DEVICE void copy_keys() const {
        const keys_unit& unit = memory::state().unit();
        const auto copy_own = [&](const tensor<const T>& from, const own_tile& to) {
            copy(from.row(unit.sequence, 0, unit.kv_head), from, to, unit.first_key, unit.keys);
        };
        copy_own(call().key, memory::keys());
        if constexpr (Keys) {
            copy_own(call().value, memory::values());
        }
    }
    UNMASK_DEVICE void copy_queries(int turn, const walk& of) const {
        copy(of.query, call().query, memory::queries(turn), of.at.begin(), memory::state().unit().queries);
    }
    UNMASK_DEVICE void copy_d_output(int turn, const walk& of) const {
        copy(of.d_output, p_.of.d_output, memory::d_output(turn), of.at.begin(), memory::state().unit().queries);
    }
    UNMASK_DEVICE void copy_both(int turn, const walk& of) const {
        visited_tile::template copy_rows<Plan::threads, T>(
            {memory::queries(turn), memory::d_output(turn)}, {of.query, of.d_output},
            {static_cast<int>(call().query.position_stride), static_cast<int>(p_.of.d_output.position_stride)},
            of.at.begin(), memory::state().unit().queries, call().head_dim);
    }
    UNMASK_DEVICE int head(const walk& of) const { return memory::state().unit().kv_head * call().group + of.head; }
    template <class Tile>
    UNMASK_DEVICE void copy(const T* head, const tensor<const T>& from, const Tile& to, int first, int end) const {
        to.template copy_rows<Plan::threads>(head, static_cast<int>(from.position_stride), first, end, call().head_dim);
    }

    UNMASK_DEVICE void set_seen(int turn, tile at) const {
        memory::state().template set_seen<Plan::threads>(turn, call(), p_.mask, at.begin());
    }

    // What this thread reads of a tile's log-sum-exp and Δ.
    UNMASK_DEVICE float number(const walk& of) const {
        const keys_unit& unit = memory::state().unit();
        const int query = of.at.begin() + device::thread() % Plan::visited;
        if (!of.more || device::thread() >= 2 * Plan::visited || query >= unit.queries) {
            return 0.0F;
        }
        return device::thread() < Plan::visited ? shift_of(call().log_sum_exp.at(unit.sequence, head(of), query))
                                                : p_.of.delta[p_.of.row(unit.sequence, head(of), query)];
    }
    UNMASK_DEVICE static void store_number(int turn, float value) {
        if (device::thread() < 2 * Plan::visited) {
            memory::state().numbers(turn)[device::thread()] = value;
        }
    }

    // Makes P of products, and dS of dP if gradients of keys are computed.
    UNMASK_DEVICE void finish(int turn, bool partial, score_fragment& scores, score_fragment& d_scores) const {
        finish_scores(call(), scores);
        const float* numbers = memory::state().numbers(turn) + fragment_column(0);
        const auto log_sum_exp = [&](int, int j, int e) { return numbers[j * 8 + e % 2]; };
        if constexpr (Keys) {
            differentiate(call(), scores, d_scores, log_sum_exp,
                          [&](int, int j, int e) { return numbers[Plan::visited + j * 8 + e % 2]; });
        } else {
            weigh(scores, log_sum_exp);
        }
        if (partial) {
            hide_transposed(memory::state().seen(turn), warp_row(), scores);
            if constexpr (Keys) {
                hide_transposed(memory::state().seen(turn), warp_row(), d_scores);
            }
        }
    }

    // What this block's keys add to the gradients of a tile of queries. By all threads; a barrier must follow before
    // the next.
    UNMASK_DEVICE void add_to_queries(int head, tile at, score_fragment& d_scores) {
        const keys_unit& unit = memory::state().unit();
        if (unit.first_key + Plan::owned > unit.keys) { // past the end there are no keys
            d_scores.for_each([&](float& d_score, int i, int, int e) {
                const int key = unit.first_key + warp_row() + fragment_row(i, e / 2);
                d_score = key < unit.keys ? d_score : 0.0F;
            });
        }
        store_transposed_scores<T>(d_scores, warp_row(), memory::d_scores());
        device::barrier(); // all scores are here
        typename query_sums<Plan>::part sums;
        if (at.partial() && !asked_) {
            asked_ = true;
            infinite_keys_ = has_infinite<T>(memory::keys());
        }
        if (at.partial() && infinite_keys_) {
            query_sums<Plan>::template multiply_seen<T>(
                memory::d_scores(), memory::keys(), sums, [&](int query, int key) {
                    return at.begin() + query < unit.queries && unit.first_key + key < unit.keys &&
                           p_.mask.visible(call().query_offset + at.begin() + query, unit.first_key + key);
                });
        } else {
            query_sums<Plan>::template multiply<T>(memory::d_scores(), memory::keys(), sums);
        }
        query_sums<Plan>::of(p_.of, unit.sequence, head, at.begin()).add(sums);
    }

    // Keys past the sequence's length get 0.
    UNMASK_DEVICE void write(const gradient_fragment& sums, float factor, const typename memory::own_tile& by_way_of,
                             const tensor<Gradient>& to) const {
        const keys_unit& unit = memory::state().unit();
        if (to.data != nullptr) {
            write_gradient<Gradient>(
                sums, factor, by_way_of, call().head_dim, [&](int row) { return unit.first_key + row < unit.keys; },
                [&](int row) { return unit.first_key + row < call().key_length; },
                [&](int row) { return to.row(unit.sequence, unit.first_key + row, unit.kv_head); });
        }
    }

    // Gives the keys what was taken out of tiles. A query that isn't finite makes NaN of each key that it sees.
    UNMASK_DEVICE void add_taken_out() const {
        const keys_unit& unit = memory::state().unit();
        const int columns = call().head_dim;
        const int keys = smaller(unit.keys - unit.first_key, Plan::owned);
        for (int i = device::thread(); i < keys * columns; i += Plan::threads) {
            const int key = unit.first_key + i / columns;
            const int column = i % columns;
            float of_value = 0.0F;
            float of_key = 0.0F;
            for (int h = unit.kv_head * call().group; h < (unit.kv_head + 1) * call().group; ++h) {
                const auto tiles = memory::state().tiles();
                for (tile at = tiles.before_first(); tiles.next(at);) {
                    const int last = smaller(at.begin() + Plan::visited, unit.queries);
                    for (int query = at.begin(); at.partial() && query < last; ++query) {
                        const auto factor = static_cast<float>(call().query.row(unit.sequence, query, h)[column]);
                        const auto d_output = static_cast<float>(p_.of.d_output.row(unit.sequence, query, h)[column]);
                        if ((!is_finite(factor) || !is_finite(d_output)) &&
                            p_.mask.visible(call().query_offset + query, key)) {
                            of_value += is_finite(d_output) ? 0.0F : d_output;
                            of_key += 0.0F * factor;
                        }
                    }
                }
            }
            const auto add = [&](const tensor<Gradient>& to, float sum) {
                if (!is_finite(sum)) {
                    Gradient& gradient = to.row(unit.sequence, key, unit.kv_head)[column];
                    gradient = static_cast<Gradient>(static_cast<float>(gradient) + sum);
                }
            };
            if (values_wanted()) {
                add(p_.of.d_value, of_value);
            }
            if (keys_wanted()) {
                add(p_.of.d_key, of_key);
            }
        }
    }

    const backward_parameters<T, Mask, Gradient>& p_;
    gradient_fragment d_values_;
    gradient_fragment d_keys_;
    bool asked_ = false; // whether there are infinite keys, or NaN
    bool infinite_keys_ = false;
    std::uint32_t own_place_; // of a lane, in shared memory: kept, because they take more than a turn's copies
    std::uint32_t transposed_place_;
    std::uint32_t visited_place_;
};

template <class Plan, class T, mask_policy Mask, class Gradient = T>
UNMASK_KERNEL(Plan::threads, Plan::blocks)
void backward_keys_kernel(backward_parameters<T, Mask, Gradient> p) {
    if constexpr (device::has_tensor_cores) {
        using memory = backward_keys_memory<Plan>;
        if (!memory::state().template begin<Plan::threads>(p.of.call, p.grid, p.mask, device::block(),
                                                           reinterpret_cast<int*>(memory::keys().data))) {
            return;
        }
        if constexpr (Plan::parts == 1) {
            tensor_core_backward_keys<Plan, T, Mask, Gradient, true, true>(p).run();
        } else if (memory::state().unit().part == 0) {
            if (p.of.d_value.data != nullptr) {
                tensor_core_backward_keys<Plan, T, Mask, Gradient, true, false>(p).run();
            }
        } else if (p.of.d_key.data != nullptr) {
            tensor_core_backward_keys<Plan, T, Mask, Gradient, false, true>(p).run();
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
