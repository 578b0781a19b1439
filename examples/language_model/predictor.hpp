// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <span>

#include <unmask/attention/key_value_store.hpp>
#include <unmask/attention/kv_cache.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/ranges.hpp>

#include "checkpoint.hpp"

namespace language_model {

/// Keys and values of a text whose positions see each other both ways: what is kept of it is an approximation.
using text_store = unmask::key_value_store<float>;

/// Keys and values of a text whose positions see no later block: what is kept of it is exact.
using text_cache = unmask::kv_cache<float, unmask::extra_sink<unmask::block>>;

/// A trained model whose policies are known at run time only: a checkpoint names them.
///
/// Each function runs some positions of one text through the model, writes their keys and values to a store, and
/// predicts what stands at the positions asked for, in rising order, which are among those that are run: logits
/// [positions, vocabulary]. Tokens hold masks where a position is to be filled. Workers of different numbers may call
/// at the same time.
class predictor {
public:
    virtual ~predictor() = default;

    /// A store that holds nothing of a text yet; text_length() is what it holds of one.
    [[nodiscard]] virtual text_store make_store() const = 0;
    [[nodiscard]] virtual text_cache make_cache(index_t block_length) const = 0;
    [[nodiscard]] virtual index_t text_length(const text_store& store) const = 0;
    [[nodiscard]] virtual index_t text_length(const text_cache& cache) const = 0;

    /// Both ways: runs the positions of `run`, and takes the others from the store. A run of the whole text needs none.
    virtual void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                         unmask::range run, text_store& store, std::span<const index_t> positions, matrix logits) = 0;

    /// Both ways: runs the whole text, and beside it a shadow block, masks that stand for the positions of `verified`:
    /// see unmask::shadow_block. Predicts what stands at all of those, too.
    virtual void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                         std::span<const index_t> positions, matrix logits, unmask::range verified,
                         matrix verified_logits) = 0;

    /// In blocks: runs what comes after the final positions of the cache. Tokens end with a block or with the text.
    virtual void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                         text_cache& cache, std::span<const index_t> positions, matrix logits) = 0;

    /// In blocks: the same, and all of the tokens are final. They end with a block.
    virtual void keep(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                      text_cache& cache) = 0;

    /// Empties a cache.
    virtual void clear(text_cache& cache) const = 0;
};

/// The model of a checkpoint, for texts of up to `longest` tokens, with memory for some workers. Throws
/// std::runtime_error if the file holds none.
std::unique_ptr<predictor> load_predictor(const safetensors_file& file, const model_card& card, int workers,
                                          index_t longest);

} // namespace language_model
