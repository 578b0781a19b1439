// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/backward_plan.cuh>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/gradient_fragment.cuh>
#include <unmask/cuda/attention/hidden_values.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// Gradients of keys and values on the tensor cores. A block has a tile of keys of one kv head, and goes through the
// tiles of queries that see them, of each head of the group. Scores are transposed, a row for each key: then a warp's
// are, rounded, the left factor of its sums, and never leave its registers. The next queries are copied while the block
// computes.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// What a block works on: some keys of one kv head of one sequence.
struct keys_unit {
    int sequence;
    int kv_head;
    int first_key;
    int queries;
    int keys;
    int part;
    int values_taken_out[8]; // by each warp, whether there were any: see hidden_values.cuh
};

// What all threads of a block know alike, in shared memory.
template <int Keys, int Queries>
struct keys_state {
    using seen_type = seen_keys<Queries, Keys>;
    using tile_list = cuda::tile_list<Queries>;
    static constexpr int numbers_bytes = 4 * Queries * static_cast<int>(sizeof(float));
    static constexpr int bytes =
        seen_type::bytes + numbers_bytes + static_cast<int>(sizeof(keys_unit) + sizeof(typename tile_list::state));

    std::byte* data;

    UNMASK_DEVICE seen_type seen() const { return {reinterpret_cast<std::uint32_t*>(data)}; }
    // Of a tile's queries: log-sum-exp, then Δ.
    UNMASK_DEVICE float* numbers(int turn) const {
        return reinterpret_cast<float*>(data + seen_type::bytes) + turn * 2 * Queries;
    }
    UNMASK_DEVICE keys_unit& unit() const {
        return *reinterpret_cast<keys_unit*>(data + seen_type::bytes + numbers_bytes);
    }
    UNMASK_DEVICE tile_list tiles() const { return {reinterpret_cast<typename tile_list::state*>(&unit() + 1)}; }

    // Finds out what block number `block` has to do; false if nothing. `order` is shared memory for 65 integers, which
    // is free again afterwards. By all threads.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE bool begin(const kernel_call<T>& call, const block_grid& grid, const Mask& mask, int block,
                             int* order) const {
        const block_work work = work_of(grid, block);
        keys_unit mine{};
        mine.sequence = work.unit / call.kv_heads;
        mine.kv_head = work.unit % call.kv_heads;
        mine.queries = call.queries(mine.sequence);
        mine.keys = call.keys(mine.sequence);
        mine.part = work.part;
        int tile = work.tile;
        if (grid.uneven) {
            tile = longest_tile(grid, tile, order,
                                [&](int each) { return visiting_queries(axis_of(call, mask, mine, each * Keys)); });
        }
        if (tile >= grid.tiles) {
            return false; // the grid is padded
        }
        mine.first_key = tile * Keys;
        if (device::thread() == 0) {
            unit() = mine;
        }
        tiles().template set<Threads>(axis_of(call, mask, mine, mine.first_key), 0, 1);
        device::barrier();
        return true;
    }

    // Asks the mask which keys the queries see, of the tile that begins at first_query. By all threads; a barrier must
    // follow.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE void set_seen(const kernel_call<T>& call, const Mask& mask, int first_query) const {
        const keys_unit& mine = unit();
        seen().template set<Threads>(
            mask, mine.queries - first_query, [&](int row) { return call.query_offset + first_query + row; },
            mine.first_key, mine.keys);
    }

private:
    template <class T, mask_policy Mask>
    UNMASK_DEVICE static query_axis<Mask> axis_of(const kernel_call<T>& call, const Mask& mask, const keys_unit& unit,
                                                  int first) {
        const index_t end = smaller(static_cast<index_t>(first) + Keys, unit.keys);
        return {mask, {first, end}, call.query_offset + unit.queries, call.query_offset};
    }

    template <mask_policy Mask>
    UNMASK_DEVICE static int visiting_queries(const query_axis<Mask>& axis) {
        index_t visiting = 0;
        if (!axis.empty()) {
            const auto seen = axis.seen();
            unrolled<decltype(seen)::capacity>(
                [&](int i) { visiting += larger(seen.at(i).end - larger(seen.at(i).begin, axis.origin), 0); });
        }
        return static_cast<int>(visiting);
    }
};

template <class Plan>
struct backward_keys_memory {
    using own_tile = shared_tile<Plan::owned, Plan::head_dim>;
    using visited_tile = shared_tile<Plan::visited, Plan::head_dim>;
    using state_type = keys_state<Plan::owned, Plan::visited>;
    static constexpr int bytes = 2 * own_tile::bytes + 2 * Plan::buffers * visited_tile::bytes + state_type::bytes;

    UNMASK_DEVICE static own_tile keys() { return {device::shared_memory()}; }
    UNMASK_DEVICE static own_tile values() { return {keys().data + own_tile::bytes}; }
    UNMASK_DEVICE static visited_tile queries(int turn) {
        return {values().data + own_tile::bytes + turn % Plan::buffers * visited_tile::bytes};
    }
    UNMASK_DEVICE static visited_tile d_output(int turn) {
        return {queries(turn).data + Plan::buffers * visited_tile::bytes};
    }
    UNMASK_DEVICE static state_type state() {
        return {values().data + own_tile::bytes + 2 * Plan::buffers * visited_tile::bytes};
    }
};

// Computes the gradients of values, of keys, or both.
template <class Plan, class T, mask_policy Mask, bool Values, bool Keys>
class tensor_core_backward_keys {
public:
    UNMASK_DEVICE explicit tensor_core_backward_keys(const backward_parameters<T, Mask>& parameters) : p_(parameters) {}

    UNMASK_DEVICE void run() {
        const auto tiles = memory::state().tiles();
        int next_head = 0; // of the group
        tile next = tiles.before_first();
        bool more = tiles.next(next);
        if (more) {
            copy_keys();
            copy_queries(0, next_head, next.begin());
            store_number(0, number(next_head, next.begin()));
        }
        device::commit_copies();
        d_values_.clear();
        d_keys_.clear();

        for (int turn = 0; more; turn ^= 1) {
            const tile current = next;
            more = tiles.next(next);
            if (!more && next_head + 1 < call().group) {
                ++next_head;
                next = tiles.before_first();
                more = tiles.next(next);
            }
            device::wait_copies<0>();
            device::barrier(); // queries are here, and nobody needs those of the turn before any more
            if (Plan::buffers > 1 && more) {
                copy_queries(turn ^ 1, next_head, next.begin());
            }
            device::commit_copies();
            const float next_number = more ? number(next_head, next.begin()) : 0.0F; // arrives while others compute
            if (current.partial()) {
                memory::state().template set_seen<Plan::threads>(call(), p_.mask, current.begin());
                device::barrier();
            }
            add_tile(turn, current.partial());
            store_number(turn ^ 1, next_number);
            if (Plan::buffers == 1 && more) {
                device::barrier(); // nobody needs the queries any more
                copy_queries(0, next_head, next.begin());
                device::commit_copies();
            }
        }
        device::wait_copies<0>();
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
    using score_fragment = fragment<Plan::row_tiles, Plan::score_tiles>;
    using gradient_fragment = fragment<Plan::row_tiles, Plan::gradient_tiles>;

    UNMASK_DEVICE const kernel_call<T>& call() const { return p_.of.call; }
    UNMASK_DEVICE static int warp_row() { return fragment_warp_row<Plan::row_tiles>(); }

    // Of gradients that one block computes together, one may not be wanted.
    UNMASK_DEVICE bool values_wanted() const { return Values && (!Keys || p_.of.d_value.data != nullptr); }
    UNMASK_DEVICE bool keys_wanted() const { return Keys && (!Values || p_.of.d_key.data != nullptr); }

    UNMASK_DEVICE void copy_keys() const {
        const keys_unit& unit = memory::state().unit();
        copy(call().key, unit.kv_head, memory::keys(), unit.first_key, unit.keys);
        if constexpr (Keys) {
            copy(call().value, unit.kv_head, memory::values(), unit.first_key, unit.keys);
        }
    }
    UNMASK_DEVICE void copy_queries(int turn, int head_of_group, int first) const {
        const keys_unit& unit = memory::state().unit();
        const int head = unit.kv_head * call().group + head_of_group;
        copy(call().query, head, memory::queries(turn), first, unit.queries);
        copy(p_.of.d_output, head, memory::d_output(turn), first, unit.queries);
    }
    template <class Tile>
    UNMASK_DEVICE void copy(const tensor<const T>& from, int head, const Tile& to, int first, int end) const {
        to.template copy_rows<Plan::threads>(from.row(memory::state().unit().sequence, 0, head),
                                             static_cast<int>(from.position_stride), first, end, call().head_dim);
    }

    // What this thread reads of a tile's log-sum-exp and Δ.
    UNMASK_DEVICE float number(int head_of_group, int first) const {
        const keys_unit& unit = memory::state().unit();
        const int head = unit.kv_head * call().group + head_of_group;
        const int query = first + device::thread() % Plan::visited;
        if (device::thread() >= 2 * Plan::visited || query >= unit.queries) {
            return 0.0F;
        }
        return device::thread() < Plan::visited ? call().log_sum_exp.at(unit.sequence, head, query)
                                                : p_.of.delta[p_.of.row(unit.sequence, head, query)];
    }
    UNMASK_DEVICE static void store_number(int turn, float value) {
        if (device::thread() < 2 * Plan::visited) {
            memory::state().numbers(turn)[device::thread()] = value;
        }
    }

    UNMASK_DEVICE void add_tile(int turn, bool partial) {
        score_fragment scores;
        score_fragment d_scores;
        multiply_scores<T>(memory::keys(), warp_row(), memory::queries(turn), scores);
        if constexpr (Keys) {
            multiply_scores<T>(memory::values(), warp_row(), memory::d_output(turn), d_scores);
        }
        finish_scores(call(), scores);
        if (partial) {
            hide_transposed_scores(memory::state().seen(), warp_row(), scores);
        }
        const float* numbers = memory::state().numbers(turn) + fragment_column(0);
        const auto log_sum_exp = [&](int, int j, int e) { return numbers[j * 8 + e % 2]; };
        if constexpr (Keys) {
            differentiate(call(), scores, d_scores, log_sum_exp,
                          [&](int, int j, int e) { return numbers[Plan::visited + j * 8 + e % 2]; });
        } else {
            weigh(scores, log_sum_exp);
        }
        if (partial) {
            device::barrier(); // nobody needs them as they are
            if constexpr (Values) {
                take_out_values<T, Plan::threads>(memory::d_output(turn), memory::state().unit());
            }
            if constexpr (Keys) {
                take_out_values<T, Plan::threads>(memory::queries(turn), memory::state().unit());
            }
        }
        if (values_wanted()) {
            multiply_values<T>(scores, memory::d_output(turn), d_values_);
        }
        if (keys_wanted()) {
            multiply_values<T>(d_scores, memory::queries(turn), d_keys_);
        }
    }

    // Keys past the sequence's length get 0.
    UNMASK_DEVICE void write(const gradient_fragment& sums, float factor, const typename memory::own_tile& by_way_of,
                             const tensor<T>& to) const {
        const keys_unit& unit = memory::state().unit();
        if (to.data != nullptr) {
            write_gradient<T>(
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
            const auto add = [&](const tensor<T>& to, float sum) {
                if (!is_finite(sum)) {
                    T& gradient = to.row(unit.sequence, key, unit.kv_head)[column];
                    gradient = static_cast<T>(static_cast<float>(gradient) + sum);
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

    const backward_parameters<T, Mask>& p_;
    gradient_fragment d_values_;
    gradient_fragment d_keys_;
};

template <class Plan, class T, mask_policy Mask>
UNMASK_KERNEL(Plan::threads, Plan::blocks)
void backward_keys_kernel(backward_parameters<T, Mask> p) {
    if constexpr (device::has_tensor_cores) {
        using memory = backward_keys_memory<Plan>;
        if (!memory::state().template begin<Plan::threads>(p.of.call, p.grid, p.mask, device::block(),
                                                           reinterpret_cast<int*>(memory::keys().data))) {
            return;
        }
        if constexpr (Plan::parts == 1) {
            tensor_core_backward_keys<Plan, T, Mask, true, true>(p).run();
        } else if (memory::state().unit().part == 0) {
            if (p.of.d_value.data != nullptr) {
                tensor_core_backward_keys<Plan, T, Mask, true, false>(p).run();
            }
        } else if (p.of.d_key.data != nullptr) {
            tensor_core_backward_keys<Plan, T, Mask, false, true>(p).run();
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
