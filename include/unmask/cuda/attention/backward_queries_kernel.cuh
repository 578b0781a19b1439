// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/backward_plan.cuh>
#include <unmask/cuda/attention/block_state.cuh>
#include <unmask/cuda/attention/gradient_fragment.cuh>
#include <unmask/cuda/attention/hidden_values.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// Gradients of queries on the tensor cores. A block has a tile of query rows, as in the forward kernel, and takes it
// through the tiles of keys that they see. Keys are copied while values are used, the next values while keys are.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Plan>
struct backward_queries_memory {
    using own_tile = shared_tile<Plan::owned, Plan::head_dim>;
    using visited_tile = shared_tile<Plan::visited, Plan::head_dim>;
    using state_type = block_state<Plan::owned, Plan::visited>;
    static constexpr int bytes = 2 * own_tile::bytes + 2 * visited_tile::bytes + state_type::bytes;

    UNMASK_DEVICE static own_tile queries() { return {device::shared_memory()}; }
    UNMASK_DEVICE static own_tile d_output() { return {queries().data + own_tile::bytes}; }
    UNMASK_DEVICE static visited_tile keys() { return {d_output().data + own_tile::bytes}; }
    UNMASK_DEVICE static visited_tile values() { return {keys().data + visited_tile::bytes}; }
    UNMASK_DEVICE static state_type state() { return {values().data + visited_tile::bytes}; }
};

template <class Plan, class T, mask_policy Mask, class Gradient = T>
class tensor_core_backward_queries {
public:
    UNMASK_DEVICE explicit tensor_core_backward_queries(const backward_parameters<T, Mask, Gradient>& parameters)
        : p_(parameters), own_place_(left_place<own_tile>(warp_row())),
          transposed_place_(transposed_place<visited_tile>()), visited_place_(right_place<visited_tile>()) {}

    UNMASK_DEVICE void run() {
        if (!memory::state().template begin<Plan::threads>(call(), p_.grid, p_.mask, device::block(),
                                                           reinterpret_cast<int*>(memory::queries().data))) {
            return;
        }
        const auto tiles = memory::state().tiles();
        tile next = tiles.before_first();
        bool more = tiles.next(next);
        if (more) {
            copy_rows(call().query, memory::queries());
            copy_rows(p_.of.d_output, memory::d_output());
            copy_values(next.begin());
        }
        device::commit_copies();
        read_numbers();
        d_queries_.clear();
        device::wait_copies<0>();
        device::barrier();

        while (more) {
            copy_keys(next.begin());
            device::commit_copies();
            const tile current = next;
            more = tiles.next(next);
            if (current.partial()) {
                memory::state().template set_seen<Plan::threads>(call(), p_.mask, current.begin());
            }
            score_fragment d_scores;
            multiply(memory::d_output(), memory::values(), d_scores);
            device::wait_copies<0>();
            device::barrier(); // keys are here, and nobody needs the values any more

            if (more) {
                copy_values(next.begin());
            }
            device::commit_copies();
            add_keys(d_scores, current.partial());
            device::wait_copies<0>();
            device::barrier(); // the next values are here, and nobody needs the keys any more
        }
        if (p_.of.d_sink_scores != nullptr) {
            add_sink();
        }
        write();
        device::barrier();
        if (values_taken_out<Plan::threads>(memory::state().unit())) {
            spoil_rows();
        }
    }

private:
    using memory = backward_queries_memory<Plan>;
    using own_tile = typename memory::own_tile;
    using visited_tile = typename memory::visited_tile;
    using score_fragment = fragment<Plan::row_tiles, Plan::score_tiles>;

    UNMASK_DEVICE const kernel_call<T>& call() const { return p_.of.call; }
    UNMASK_DEVICE static int warp_row() { return fragment_warp_row<Plan::row_tiles>(); }

    // products = own · visitedᵀ
    UNMASK_DEVICE void multiply(const own_tile& own, const visited_tile& visited, score_fragment& products) const {
        multiply_scores<T, Plan::head_dim / 16>(own, device::opaque(own_place_), visited,
                                                device::opaque(transposed_place_), products);
    }

    template <class Tile>
    UNMASK_DEVICE void copy_rows(const tensor<const T>& from, const Tile& to) const {
        const block_unit& unit = memory::state().unit();
        const int last = larger(unit.rows - 1, 0);
        to.template copy_rows<Plan::threads>(unit.rows - unit.first_row, call().head_dim, [&](int row) {
            const int at = smaller(unit.first_row + row, last);
            return from.row(unit.sequence, call().query_of(at), call().head_of(unit.kv_head, at));
        });
    }
    UNMASK_DEVICE void copy_keys(int begin) const {
        copy_tile(memory::keys(), memory::state().unit().keys_data, call().key.position_stride, begin);
    }
    UNMASK_DEVICE void copy_values(int begin) const {
        copy_tile(memory::values(), memory::state().unit().values_data, call().value.position_stride, begin);
    }
    UNMASK_DEVICE void copy_tile(const typename memory::visited_tile& to, const void* from, index_t stride,
                                 int begin) const {
        to.template copy_rows<Plan::threads>(static_cast<const T*>(from), static_cast<int>(stride), begin,
                                             memory::state().unit().keys, call().head_dim);
    }

    // The rows' log-sum-exp and Δ, which a lane keeps.
    UNMASK_DEVICE void read_numbers() {
        for_each_row([&](int i, int h, int row) {
            const block_unit& unit = memory::state().unit();
            log_sum_exp_[i][h] = 0.0F;
            delta_[i][h] = 0.0F;
            if (row < unit.rows) {
                const int head = call().head_of(unit.kv_head, row);
                log_sum_exp_[i][h] = shift_of(call().log_sum_exp.at(unit.sequence, head, call().query_of(row)));
                delta_[i][h] = p_.of.delta[p_.of.row(unit.sequence, head, call().query_of(row))];
            }
        });
    }

    // Calls visit(i, h, row of the kv head).
    template <class Visit>
    UNMASK_DEVICE static void for_each_row(const Visit& visit) {
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                visit(i, h, memory::state().unit().first_row + warp_row() + fragment_row(i, h));
            }
        }
    }

    // Of dP, in d_scores, and of keys that have arrived.
    UNMASK_DEVICE void add_keys(score_fragment& d_scores, bool partial) {
        score_fragment scores;
        multiply(memory::queries(), memory::keys(), scores);
        finish_scores(call(), scores);
        differentiate(
            call(), scores, d_scores, [&](int i, int, int e) { return log_sum_exp_[i][e / 2]; },
            [&](int i, int, int e) { return delta_[i][e / 2]; });
        if (partial) {
            hide_scores(memory::state().seen(), warp_row(), d_scores, 0.0F);
            device::barrier(); // nobody needs the keys as they are
            take_out_values<T, Plan::threads>(memory::keys(), memory::state().unit());
        }
        multiply_values<T>(d_scores, memory::keys(), device::opaque(visited_place_), d_queries_);
    }

    UNMASK_DEVICE void add_sink() {
        const block_unit& unit = memory::state().unit();
        const float* key = p_.of.sink_keys + unit.kv_head * call().head_dim + fragment_column(0);
        const int columns = call().head_dim - fragment_column(0);
        for_each_row([&](int i, int h, int row) {
            if (row < unit.rows) {
                const float d_score = p_.of.d_sink_scores[p_.of.row(unit.sequence, call().head_of(unit.kv_head, row),
                                                                    call().query_of(row))];
                UNMASK_UNROLL
                for (int j = 0; j < Plan::gradient_tiles; ++j) {
                    if (j * 8 < columns) {
                        d_queries_.values[i][j][2 * h] += d_score * key[j * 8];
                        d_queries_.values[i][j][2 * h + 1] += d_score * key[j * 8 + 1];
                    }
                }
            }
        });
    }

    UNMASK_DEVICE Gradient* row_of(const block_unit& unit, int row) const {
        return p_.of.d_query.row(unit.sequence, call().query_of(row), call().head_of(unit.kv_head, row));
    }

    // Rows past the sequence's length get 0.
    UNMASK_DEVICE void write() const {
        const block_unit& unit = memory::state().unit();
        const int all_rows = call().query_length * call().group;
        write_gradient<Gradient>(
            d_queries_, call().scale, memory::queries(), call().head_dim,
            [&](int row) { return unit.first_row + row < unit.rows; },
            [&](int row) { return unit.first_row + row < all_rows; },
            [&](int row) { return row_of(unit, unit.first_row + row); });
    }

    // A key that isn't finite makes NaN of each row that sees it, also where it was taken out of a tile.
    UNMASK_DEVICE void spoil_rows() const {
        const block_unit& unit = memory::state().unit();
        const int columns = call().head_dim;
        const int rows = smaller(unit.rows - unit.first_row, Plan::owned);
        for (int i = device::thread(); i < rows * columns; i += Plan::threads) {
            const int row = unit.first_row + i / columns;
            const int column = i % columns;
            float sum = 0.0F;
            const auto tiles = memory::state().tiles();
            for (tile at = tiles.before_first(); tiles.next(at);) {
                const int last = smaller(at.begin() + Plan::visited, unit.keys);
                for (int key = at.begin(); at.partial() && key < last; ++key) {
                    const auto factor = static_cast<float>(call().key.row(unit.sequence, key, unit.kv_head)[column]);
                    if (!is_finite(factor) && p_.mask.visible(call().position_of(row), key)) {
                        sum += 0.0F * factor;
                    }
                }
            }
            if (!is_finite(sum)) {
                Gradient& gradient = row_of(unit, row)[column];
                gradient = static_cast<Gradient>(static_cast<float>(gradient) + sum);
            }
        }
    }

    const backward_parameters<T, Mask, Gradient>& p_;
    float log_sum_exp_[Plan::row_tiles][2];
    float delta_[Plan::row_tiles][2];
    fragment<Plan::row_tiles, Plan::gradient_tiles> d_queries_;
    std::uint32_t own_place_; // of a lane, in shared memory: see tensor_core_backward_keys
    std::uint32_t transposed_place_;
    std::uint32_t visited_place_;
};

template <class Plan, class T, mask_policy Mask, class Gradient = T>
UNMASK_KERNEL(Plan::threads, Plan::blocks)
void backward_queries_kernel(backward_parameters<T, Mask, Gradient> p) {
    if constexpr (device::has_tensor_cores) {
        tensor_core_backward_queries<Plan, T, Mask, Gradient>(p).run();
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
