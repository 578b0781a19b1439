// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/plain_backward_tile.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/numeric/detail/integers.hpp>

// The gradients of keys and values, without tensor cores: a block has 64 keys of a kv head, and goes through the
// queries that see them, head by head of the group.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

struct plain_backward_keys_memory {
    using seen_type = seen_keys<plain_rows, plain_keys>;
    using list_type = tile_list<plain_rows>;
    static constexpr int bytes =
        plain_tile::bytes + plain_probabilities::bytes + seen_type::bytes + static_cast<int>(sizeof(list_type::state));

    UNMASK_DEVICE static plain_tile tile() { return {reinterpret_cast<float*>(device::shared_memory())}; }
    UNMASK_DEVICE static plain_probabilities factors() { return {tile().data + plain_tile::floats}; }
    UNMASK_DEVICE static seen_type seen() {
        return {reinterpret_cast<std::uint32_t*>(factors().data + plain_probabilities::floats)};
    }
    UNMASK_DEVICE static list_type queries() {
        return {reinterpret_cast<list_type::state*>(reinterpret_cast<std::byte*>(seen().data) + seen_type::bytes)};
    }
};

template <class T, mask_policy Mask, class Gradient = T>
class plain_backward_keys {
public:
    UNMASK_DEVICE explicit plain_backward_keys(const plain_backward_parameters<T, Mask, Gradient>& parameters)
        : p_(parameters), call_(parameters.of.call),
          first_column_(device::block() % parameters.column_groups * plain_columns) {
        const int block = device::block() / parameters.column_groups;
        const int tiles = tiles_of(call_.key_length, plain_keys);
        first_key_ = block % tiles * plain_keys;
        kv_head_ = block / tiles % call_.kv_heads;
        sequence_ = block / tiles / call_.kv_heads;
        queries_ = call_.queries(sequence_);
        keys_ = call_.keys(sequence_);
    }

    UNMASK_DEVICE void run() {
        const index_t end = smaller(static_cast<index_t>(first_key_) + plain_keys, keys_);
        memory::queries().template set<plain_threads>(
            query_axis<Mask>{p_.mask, {first_key_, end}, call_.query_offset + queries_, call_.query_offset}, 0, 1);
        device::barrier();
        const auto tiles = memory::queries();
        for (int head = kv_head_ * call_.group; head < (kv_head_ + 1) * call_.group; ++head) {
            for (tile next = tiles.before_first(); tiles.next(next);) {
                add(head, next);
            }
        }
        write();
    }

private:
    using memory = plain_backward_keys_memory;
    static constexpr int steps = plain_columns / 64; // a thread has 4 of every 64 columns

    // What some queries of a head add.
    UNMASK_DEVICE void add(int head, tile at) {
        const int first = at.begin();
        const int count = queries_ - first;
        if (at.partial()) {
            memory::seen().template set<plain_threads>(
                p_.mask, count, [&](int row) { return call_.query_offset + first + row; }, first_key_, keys_);
        }
        const auto query_of = [&](int row) { return call_.query.row(sequence_, first + row, head); };
        const auto d_output_of = [&](int row) { return p_.of.d_output.row(sequence_, first + row, head); };
        float scores[4][4];
        multiply_plain_scores(
            count, query_of, keys_ - first_key_,
            [&](int key) { return call_.key.row(sequence_, first_key_ + key, kv_head_); }, call_.head_dim,
            memory::tile(), scores);
        float d_probabilities[4][4];
        multiply_plain_scores(
            count, d_output_of, keys_ - first_key_,
            [&](int key) { return call_.value.row(sequence_, first_key_ + key, kv_head_); }, call_.head_dim,
            memory::tile(), d_probabilities);
        plain_gradients gradients;
        gradients.set(
            call_, scores, d_probabilities,
            [&](int i) { return at.partial() ? plain_seen(memory::seen(), plain_row(i)) : 0xfU; },
            [&](int i) {
                const int query = first + plain_row(i);
                return query < queries_ ? call_.log_sum_exp.at(sequence_, head, query) : 0.0F;
            },
            [&](int i) {
                const int query = first + plain_row(i);
                return query < queries_ ? p_.of.delta[p_.of.row(sequence_, head, query)] : 0.0F;
            });
        if (p_.of.d_value.data != nullptr) {
            add_product(gradients.probability, at.partial(), count, d_output_of, d_value_);
        }
        if (p_.of.d_key.data != nullptr) {
            add_product(gradients.d_score, at.partial(), count, query_of, d_key_);
        }
    }

    // sums += factorsᵀ · rows, 64 columns at a time.
    template <class RowOf>
    UNMASK_DEVICE void add_product(const float (&factors)[4][4], bool partial, int count, const RowOf& row_of,
                                   float (&sums)[steps][4][4]) const {
        memory::factors().store_rows(factors);
        UNMASK_UNROLL
        for (int step = 0; step < steps; ++step) {
            const int first = first_column_ + step * 64;
            if (first >= call_.head_dim) {
                break; // the same for all threads
            }
            device::barrier(); // factors are there, and nobody needs the tile any more
            memory::tile().copy(first, count, call_.head_dim, row_of);
            device::barrier();
            add_plain_product(memory::factors(), memory::tile(), partial, sums[step]);
        }
        device::barrier(); // nobody needs factors and tile any more
    }

    // Keys past a sequence's length get 0.
    UNMASK_DEVICE void write() const {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int key = first_key_ + plain_row(i);
            if (key < call_.key_length) {
                write_row(p_.of.d_key, key, d_key_, i, call_.scale);
                write_row(p_.of.d_value, key, d_value_, i, 1.0F);
            }
        }
    }
    UNMASK_DEVICE void write_row(const tensor<Gradient>& to, int key, const float (&sums)[steps][4][4], int i,
                                 float factor) const {
        UNMASK_UNROLL
        for (int step = 0; step < steps; ++step) {
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                const int column = first_column_ + step * 64 + plain_column(j);
                if (to.data != nullptr && column < call_.head_dim) {
                    to.row(sequence_, key, kv_head_)[column] =
                        static_cast<Gradient>(key < keys_ ? factor * sums[step][i][j] : 0.0F);
                }
            }
        }
    }

    const plain_backward_parameters<T, Mask, Gradient>& p_;
    const kernel_call<T>& call_;
    int first_column_;
    int first_key_;
    int kv_head_;
    int sequence_;
    int queries_;
    int keys_;
    float d_key_[steps][4][4]{};
    float d_value_[steps][4][4]{};
};

template <class T, mask_policy Mask, class Gradient = T>
UNMASK_KERNEL(plain_threads, 1)
void plain_backward_keys_kernel(plain_backward_parameters<T, Mask, Gradient> p) {
    plain_backward_keys<T, Mask, Gradient>(p).run();
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
